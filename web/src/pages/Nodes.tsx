// The machines of the cluster: who leads, who is away, how loaded each is.

import "../styles/work.css";
import { useNodes } from "../api/useWork";
import type { Node } from "../api/types";
import { Chip } from "../components/StateChip";
import { ProgressBar } from "../components/ProgressBar";
import { ago, bytes, count, percent } from "../lib/format";
import { useNow, usePageTitle } from "../lib/hooks";
import { Failed } from "../ui/states";

export default function Nodes() {
  const heading = usePageTitle("Nodes");
  const query = useNodes();
  const nodes = query.data?.items ?? [];
  return (
    <section className="page">
      <div className="library-head">
        <h1 ref={heading} tabIndex={-1}>
          Nodes
          <span className="library-count numeric" role="status">
            {nodes.length > 0 ? count(nodes.length, "node") : ""}
          </span>
        </h1>
      </div>
      {query.isError && nodes.length === 0 ? (
        <Failed what="The nodes cannot be shown" error={query.error} onRetry={() => void query.refetch()} />
      ) : (
        <ul className="nodes">
          {nodes.map((node) => (
            <NodeCard key={node.id} node={node} />
          ))}
        </ul>
      )}
    </section>
  );
}

function NodeCard({ node }: { node: Node }) {
  const now = useNow(5000);
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
        <h2>{node.name}</h2>
        <Chip tone={up ? "good" : "bad"} icon={up ? "check" : "alert"}>
          {up ? "Up" : "Away"}
        </Chip>
      </div>
      <p className="hint">
        {[node.leader ? "Leader" : null, node.role, node.site, `version ${node.version}`]
          .filter(Boolean)
          .join(" · ")}
        {!up && node.seen_at && ` · last seen ${ago(node.seen_at, now)}`}
      </p>
      <div className="meters numeric">
        <Meter
          name="Jobs"
          value={`${node.slots_busy} of ${node.slots} slots`}
          permille={node.slots > 0 ? Math.floor((node.slots_busy * 1000) / node.slots) : 0}
        />
        {node.cpu_permille !== null && (
          <Meter
            name="Processor"
            value={`${percent(node.cpu_permille)} of ${count(node.cpu_cores, "core")}`}
            permille={node.cpu_permille}
          />
        )}
        {memory !== null && (
          <Meter
            name="Memory"
            value={`${bytes(node.memory_used_bytes ?? 0)} of ${bytes(node.memory_total_bytes ?? 0)}`}
            permille={memory}
          />
        )}
        {disk !== null && (
          <Meter
            name="Disk"
            value={`${bytes(node.disk_free_bytes ?? 0)} free`}
            permille={disk}
            warnAt={900}
          />
        )}
      </div>
      <dl className="node-facts">
        <div>
          <dt>Renders with</dt>
          <dd>
            {node.encoders.length > 0 ? node.encoders.join(", ") : "Nothing: this node does not render"}
          </dd>
        </div>
        <div>
          <dt>Confinement</dt>
          <dd>{node.sandbox === "full" ? "Full" : node.sandbox}</dd>
        </div>
        {node.lag > 0 && (
          <div>
            <dt>Behind by</dt>
            <dd className="numeric">{node.lag === 1 ? "1 entry" : `${node.lag} entries`}</dd>
          </div>
        )}
      </dl>
    </li>
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
