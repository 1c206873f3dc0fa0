import { permanentRedirect } from "next/navigation";

// Without it vinext leaves a redirect to the first request, where the app is built in stages.
export const dynamic = "force-static";

export default function Moved(): never {
  permanentRedirect("/about");
}
