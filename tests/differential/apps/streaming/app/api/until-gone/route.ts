import { GET as events } from "../events/route";

export function GET(request: Request) {
  request.signal.addEventListener("abort", () => {});
  return events();
}
