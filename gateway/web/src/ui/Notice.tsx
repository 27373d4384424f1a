import type { ReactNode } from "react";
import { Logo } from "./Logo";

/** A page with nothing on it but what is the matter. */
export function Notice({ title, busy = false, children }: { title: string; busy?: boolean; children?: ReactNode }) {
  return (
    <main className="notice">
      <Logo />
      <h1>{title}</h1>
      <p>{children}</p>
      {busy && <div className="bar" role="progressbar" aria-label="Loading" />}
    </main>
  );
}
