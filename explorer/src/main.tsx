import "graphiql/setup-workers/vite";
import "graphiql/style.css";
import "./panel/panel.css";

import { createRoot } from "react-dom/client";

import { Explorer } from "./Explorer";
import { ROOT } from "./page";

createRoot(ROOT).render(<Explorer />);
