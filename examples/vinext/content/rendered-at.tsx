/** When this page was rendered, to the millisecond: a reload shows whether it came from a cache. */
export function RenderedAt({ label = "Rendered" }: { label?: string }) {
  const now = new Date().toISOString();
  return (
    <p className="stamp">
      {label}{" "}
      <time data-rendered-at={now} dateTime={now}>
        {now}
      </time>
    </p>
  );
}
