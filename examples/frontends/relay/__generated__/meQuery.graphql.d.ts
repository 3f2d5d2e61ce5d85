import type { ConcreteRequest } from "relay-runtime";

declare const request: ConcreteRequest;
export default request;
