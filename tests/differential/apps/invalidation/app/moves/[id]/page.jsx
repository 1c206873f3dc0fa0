import { redirect } from "next/navigation"; import { data } from "../../data.js";
export const revalidate = 2; export const generateStaticParams = () => [{ id: "built" }];
export default async ({ params }) => { const { id } = await params; if ((await data("moves-" + id)) === "moved") redirect("/login"); return <h1>moves {id} still here</h1>; };
