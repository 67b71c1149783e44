// A thin bar in thousandths.

interface ProgressBarProps {
  permille: number;
  label: string;
  tone?: "busy" | "idle" | "good" | "bad";
}

export function ProgressBar({ permille, label, tone = "busy" }: ProgressBarProps) {
  const value = Math.max(0, Math.min(1000, permille));
  return (
    <div
      className={`bar bar-${tone}`}
      role="progressbar"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={Math.floor(value / 10)}
    >
      <span style={{ transform: `scaleX(${value / 1000})` }} />
    </div>
  );
}
