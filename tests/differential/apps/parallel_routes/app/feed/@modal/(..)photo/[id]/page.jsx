export default async ({ params }) => (
  <dialog open>
    photo {(await params).id} over the feed {new Date().toISOString()}
  </dialog>
);
