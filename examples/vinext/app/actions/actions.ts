"use server";

import { revalidatePath, updateTag } from "next/cache";
import { redirect } from "next/navigation";

export async function refreshProducts() {
  updateTag("products");
}

export async function refreshBlog() {
  revalidatePath("/blog", "layout");
}

export async function refreshProductsAndShow() {
  updateTag("products");
  redirect("/tagged");
}
