// What stands in the place of content that is not there: a notice with a way on.

import type { ReactNode } from "react";
import { SHELL } from "../strings/shell";
import { Icon, type IconName } from "./Icon";

interface NoticeProps {
  icon: IconName;
  title: string;
  children?: ReactNode;
  tone?: "plain" | "bad";
}

export function Notice({ icon, title, children, tone = "plain" }: NoticeProps) {
  return (
    <div className={`notice notice-${tone}`} role={tone === "bad" ? "alert" : undefined}>
      <Icon name={icon} />
      <h2>{title}</h2>
      {children}
    </div>
  );
}

/** A request that failed: what happened, the cause in the node's own words, and another try. */
export function Failed({ what, error, onRetry }: { what: string; error: Error; onRetry: () => void }) {
  return (
    <Notice icon="alert" title={what} tone="bad">
      <p>{error.message}</p>
      <button className="button" type="button" onClick={onRetry}>
        <Icon name="retry" />
        {SHELL.tryAgain}
      </button>
    </Notice>
  );
}
