// What can be done with a node, with what it will mean; and a token for a new one.

import { useState } from "react";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { createToken, drainNode, fetchNode, removeNode } from "../api/work";
import type { JoinToken, Node } from "../api/types";
import { say } from "../lib/toasts";
import { ADD_NODE, NODE_ACTIONS as A } from "../strings/nodes";
import { SHELL } from "../strings/shell";
import { Dialog } from "../ui/Dialog";
import { Icon } from "../ui/Icon";
import { afterRemoval } from "./removal";
import { Snippet } from "./Snippet";

export function NodeActions({ node, nodes }: { node: Node; nodes: readonly Node[] }) {
  const client = useQueryClient();
  const [removing, setRemoving] = useState(false);
  const again = () => void client.invalidateQueries({ queryKey: ["nodes"] });
  const drain = async (draining: boolean) => {
    try {
      await drainNode(node.name, draining);
      again();
      const text = draining ? A.drained(node.name) : A.undrained(node.name);
      say(text, { action: { name: SHELL.undo, run: () => void drain(!draining) } });
    } catch (error) {
      say(error instanceof Error ? error.message : String(error), { tone: "bad" });
    }
  };
  return (
    <div className="node-actions">
      <button
        className="button button-small"
        type="button"
        title={node.draining ? A.undrainWhy : A.drainWhy}
        aria-label={node.draining ? A.undrainLabel(node.name) : A.drainLabel(node.name)}
        onClick={() => void drain(!node.draining)}
      >
        {node.draining ? A.undrain : A.drain}
      </button>
      <button
        className="button button-small button-quiet"
        type="button"
        aria-label={A.removeLabel(node.name)}
        onClick={() => setRemoving(true)}
      >
        {A.remove}
      </button>
      {removing && (
        <RemoveDialog node={node} nodes={nodes} onClose={() => setRemoving(false)} onDone={again} />
      )}
    </div>
  );
}

interface RemoveDialogProps {
  node: Node;
  nodes: readonly Node[];
  onClose: () => void;
  onDone: () => void;
}

/** It cannot be taken back, so it is asked for, and says what comes of it. */
function RemoveDialog({ node, nodes, onClose, onDone }: RemoveDialogProps) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const detail = useQuery({
    queryKey: ["node", node.name],
    queryFn: ({ signal }) => fetchNode(node.name, signal),
    staleTime: 0,
  });
  const sole = detail.data?.sole_originals ?? null;
  const { voters, upAfter, needed } = afterRemoval(nodes, node.name);
  const remove = async () => {
    setBusy(true);
    try {
      await removeNode(node.name);
      say(A.removed(node.name));
      onDone();
      onClose();
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error));
      setBusy(false);
    }
  };
  return (
    <Dialog title={A.removeTitle(node.name)} onClose={onClose}>
      <ul className="consequences">
        <li>
          <Icon name="info" />
          {A.forGood}
        </li>
        <li>
          <Icon name={sole ? "alert" : "check"} />
          {sole === null ? A.looking : sole > 0 ? A.sole(sole) : A.noSole}
        </li>
        {node.role === "voter" && (
          <li>
            <Icon name={upAfter < needed ? "alert" : "check"} />
            {upAfter < needed ? A.noMajority(upAfter, needed) : A.voters(voters, voters - needed)}
          </li>
        )}
        {!node.draining && node.slots_busy > 0 && (
          <li>
            <Icon name="info" />
            {A.work(node.slots_busy)}
          </li>
        )}
      </ul>
      {problem && (
        <p className="bad" role="alert">
          {problem}
        </p>
      )}
      <div className="dialog-actions">
        <button className="button" type="button" autoFocus onClick={onClose}>
          {A.keep}
        </button>
        <button
          className="button button-danger"
          type="button"
          disabled={busy || sole === null || sole > 0}
          onClick={() => void remove()}
        >
          {A.removeNow}
        </button>
      </div>
    </Dialog>
  );
}

/** Makes the token here, where the node lets this machine do so; else the command that does. */
export function TokenMaker({ role }: { role: string }) {
  const [token, setToken] = useState<JoinToken | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const make = async () => {
    setBusy(true);
    setProblem(null);
    try {
      setToken(await createToken(role));
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error));
    }
    setBusy(false);
  };
  return (
    <>
      {token ? (
        <>
          <Snippet text={token.token} />
          <p className="hint">{ADD_NODE.valid(new Date(token.expires_at).toLocaleTimeString())}</p>
        </>
      ) : (
        <>
          <p>
            <button className="button button-small" type="button" disabled={busy} onClick={() => void make()}>
              <Icon name="plus" />
              {ADD_NODE.make}
            </button>
          </p>
          {problem && (
            <p className="bad" role="alert">
              {problem}
            </p>
          )}
          <p className="hint">{ADD_NODE.orCommand}</p>
          <Snippet text={`reelmesh token create --role ${role}`} />
        </>
      )}
    </>
  );
}
