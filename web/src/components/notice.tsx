/** A full-width message about the connection to the API itself. */
export function Notice({ title, text }: { title: string; text: string }) {
  return (
    <div className="notice" role="alert" data-testid="api-down">
      <strong>{title}</strong> {text}
    </div>
  );
}
