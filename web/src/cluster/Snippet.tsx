// A text to be copied whole.

import { useState } from "react";
import { ADD_NODE } from "../strings/nodes";

export function Snippet({ text }: { text: string }) {
  const [copied, setCopied] = useState(false);
  return (
    <div className="snippet">
      <pre tabIndex={0}>{text}</pre>
      <button
        className="button button-small"
        type="button"
        onClick={() => void navigator.clipboard?.writeText(text).then(() => setCopied(true))}
      >
        {copied ? ADD_NODE.copied : ADD_NODE.copy}
      </button>
    </div>
  );
}
