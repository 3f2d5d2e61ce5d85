import "graphiql/setup-workers/vite";
import "graphiql/style.css";
import "./panel/panel.css";

import { createRoot } from "react-dom/client";

import { Explorer } from "./Explorer";
import { PLACE } from "./page";

createRoot(PLACE).render(<Explorer />);
