import { data } from "../../data.js";

export const revalidate = 3600;
export const generateStaticParams = () => [];

export default async () => <h1>fetched {await data("fetched", { next: { tags: ["fetched", "item:2"], revalidate: 3600 } })}</h1>;
