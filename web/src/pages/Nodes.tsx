// The machines of the cluster by site, what is wrong with them in words, and how to add one.

import "../styles/work.css";
import { useOffers } from "../api/useVideo";
import { useNodes } from "../api/useWork";
import type { Node } from "../api/types";
import { alertsFor, bySite, type Alert } from "../cluster/alerts";
import { NodeActions, TokenMaker } from "../cluster/NodeActions";
import { Snippet } from "../cluster/Snippet";
import { Chip } from "../components/StateChip";
import { ProgressBar } from "../components/ProgressBar";
import { ago, bytes, percent } from "../lib/format";
import { useNow, usePageTitle } from "../lib/hooks";
import { ADD_NODE, NODES } from "../strings/nodes";
import { Icon } from "../ui/Icon";
import { Failed } from "../ui/states";

export default function Nodes() {
  const heading = usePageTitle(NODES.title);
  const query = useNodes();
  const now = useNow(5000);
  const offers = useOffers();
  const nodes = query.data?.items ?? [];
  return (
    <section className="page">
      <div className="library-head">
        <h1 ref={heading} tabIndex={-1}>
          {NODES.title}
          <span className="library-count numeric" role="status">
            {nodes.length > 0 ? NODES.nodes(nodes.length) : ""}
          </span>
        </h1>
      </div>
      {query.isError && nodes.length === 0 ? (
        <Failed what={NODES.cannotShow} error={query.error} onRetry={() => void query.refetch()} />
      ) : (
        nodes.length > 0 && (
          <>
            <Alerts alerts={alertsFor(nodes, now)} />
            {bySite(nodes).map(([site, members]) => (
              <section key={site} className="site" aria-label={site}>
                <h2>
                  {site}
                  <span className="hint numeric">
                    {NODES.upOf(members.filter(({ state }) => state === "up").length, members.length)}
                  </span>
                </h2>
                <ul className="nodes">
                  {members.map((node) => (
                    <NodeCard
                      key={node.id}
                      node={node}
                      now={now}
                      all={offers?.cluster && nodes.length > 1 ? nodes : null}
                    />
                  ))}
                </ul>
              </section>
            ))}
            {nodes.length > 1 || offers?.cluster ? (
              <AddNode site={nodes.find(({ leader }) => leader)?.site ?? nodes[0]?.site ?? "here"} />
            ) : (
              offers && <p className="alone hint">{ADD_NODE.alone}</p>
            )}
          </>
        )
      )}
    </section>
  );
}

function Alerts({ alerts }: { alerts: readonly Alert[] }) {
  return (
    <section className="alerts" aria-label={NODES.alerts} aria-live="polite">
      {alerts.length === 0 ? (
        <p className="alert alert-calm">
          <Icon name="check" />
          {NODES.calm}
        </p>
      ) : (
        alerts.map(({ key, tone, text, todo }) => (
          <div key={key} className={`alert alert-${tone}`}>
            <Icon name="alert" />
            <div>
              <p className="alert-text">{text}</p>
              <p className="hint">{todo}</p>
            </div>
          </div>
        ))
      )}
    </section>
  );
}

interface NodeCardProps {
  node: Node;
  now: number;
  /** All of them, if there is something to be done with one. */
  all: readonly Node[] | null;
}

function NodeCard({ node, now, all }: NodeCardProps) {
  const up = node.state === "up";
  const memory = share(node.memory_used_bytes, node.memory_total_bytes);
  const disk = share(
    node.disk_total_bytes !== null && node.disk_free_bytes !== null
      ? node.disk_total_bytes - node.disk_free_bytes
      : null,
    node.disk_total_bytes,
  );
  return (
    <li className={up ? "node" : "node node-away"}>
      <div className="node-head">
        <h3>{node.name}</h3>
        <Chip tone={up ? "good" : "bad"} icon={up ? "check" : "alert"}>
          {up ? NODES.up : NODES.away}
        </Chip>
      </div>
      <p className="node-sub hint">
        {node.leader && (
          <span className="tag tag-leader" title={NODES.leaderNote}>
            {NODES.leader}
          </span>
        )}
        <span className="tag" title={NODES.roleNotes[node.role]}>
          {NODES.roles[node.role] ?? node.role}
        </span>
        {node.draining && <span className="tag tag-warn">{NODES.draining}</span>}
        <span>{NODES.version(node.version)}</span>
        {!up && node.seen_at && <span>{NODES.seen(ago(node.seen_at, now))}</span>}
      </p>
      {up && (
        <div className="meters numeric">
          <Meter
            name={NODES.jobs}
            value={NODES.slots(node.slots_busy, node.slots)}
            permille={node.slots > 0 ? Math.floor((node.slots_busy * 1000) / node.slots) : 0}
          />
          {node.cpu_permille !== null && (
            <Meter
              name={NODES.processor}
              value={NODES.cores(percent(node.cpu_permille), node.cpu_cores)}
              permille={node.cpu_permille}
            />
          )}
          {memory !== null && (
            <Meter
              name={NODES.memory}
              value={NODES.of(bytes(node.memory_used_bytes ?? 0), bytes(node.memory_total_bytes ?? 0))}
              permille={memory}
            />
          )}
          {disk !== null && (
            <Meter
              name={NODES.disk}
              value={NODES.free(bytes(node.disk_free_bytes ?? 0), bytes(node.disk_total_bytes ?? 0))}
              permille={disk}
              warnAt={900}
            />
          )}
        </div>
      )}
      <dl className="node-facts">
        <div>
          <dt>{NODES.encoders}</dt>
          <dd>{node.encoders.length > 0 ? node.encoders.join(", ") : NODES.noEncoders}</dd>
        </div>
        <div>
          <dt>{NODES.sandbox}</dt>
          <dd>{node.sandbox === "full" ? NODES.sandboxFull : node.sandbox}</dd>
        </div>
        {node.lag > 0 && (
          <div>
            <dt>{NODES.behind}</dt>
            <dd className="numeric">{NODES.entries(node.lag)}</dd>
          </div>
        )}
      </dl>
      {all && <NodeActions node={node} nodes={all} />}
    </li>
  );
}

function AddNode({ site }: { site: string }) {
  const [write, token, start, apply] = ADD_NODE.steps;
  const role = "worker";
  return (
    <section className="add-node" aria-labelledby="add-node-title">
      <h2 id="add-node-title">{ADD_NODE.title}</h2>
      <p className="hint">{ADD_NODE.why}</p>
      <ol>
        <li>
          {write}
          <Snippet text={ADD_NODE.snippet(site)} />
        </li>
        <li>
          {token}
          <TokenMaker role={role} />
        </li>
        <li>
          {start}
          <Snippet text={ADD_NODE.start} />
        </li>
        <li>
          {apply}
          <Snippet text={ADD_NODE.apply} />
        </li>
      </ol>
      <p className="hint">{ADD_NODE.after}</p>
    </section>
  );
}

interface MeterProps {
  name: string;
  value: string;
  permille: number;
  warnAt?: number;
}

function Meter({ name, value, permille, warnAt = 1001 }: MeterProps) {
  return (
    <div>
      <span>{name}</span>
      <span className="meter-value">{value}</span>
      <ProgressBar permille={permille} tone={permille >= warnAt ? "bad" : "busy"} label={name} />
    </div>
  );
}

function share(part: number | null, whole: number | null): number | null {
  return part === null || whole === null || whole === 0 ? null : Math.floor((part * 1000) / whole);
}
