export default async ({ searchParams }) => {
  const { callbackUrl = "/" } = await searchParams;
  return (
    <form method="post" action={`/api/auth/signin?callbackUrl=${encodeURIComponent(callbackUrl)}`}>
      <h1>sign in to see {callbackUrl}</h1>
    </form>
  );
};
