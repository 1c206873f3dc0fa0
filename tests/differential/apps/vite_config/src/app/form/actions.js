"use server";

import { revalidatePath } from "next/cache";
import { redirect } from "next/navigation";

export async function renew() {
  revalidatePath("/products/renewed");
}

export async function renewAndGo() {
  revalidatePath("/products/renewed-by-go");
  redirect("/about");
}
