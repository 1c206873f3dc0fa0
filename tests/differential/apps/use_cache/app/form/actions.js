"use server";

import { refresh, revalidateTag, updateTag } from "next/cache";
import { redirect } from "next/navigation";

export async function update() {
  updateTag("form");
}

export async function later() {
  revalidateTag("form", "max");
  refresh();
}

export async function updateAndGo() {
  updateTag("form");
  redirect("/products");
}
