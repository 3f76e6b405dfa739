/** Small charts as SVG text: bars beside names, and lines over a logarithmic axis. */

const WIDTH = 720;
const LEFT = 150;
const RIGHT = 90;
const ROW = 26;
const TOP = 44;

const escape = (text: string) =>
  text.replace(/[&<>]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;" })[c] ?? c);

/** One bar. */
export interface Bar {
  readonly name: string;
  /** At least 0; what is NaN gets no bar. */
  readonly value: number;
  readonly label: string;
  /** One of those that the chart is about. */
  readonly ours: boolean;
}

/** A chart of horizontal bars, the axis from 0. */
export function bars(title: string, rows: readonly Bar[]): string {
  const most = Math.max(...rows.map(({ value }) => value).filter((value) => !Number.isNaN(value)));
  const height = TOP + rows.length * ROW + 12;
  const parts = rows.map(({ name, value, label, ours }, i) => {
    const y = TOP + i * ROW;
    const width = Number.isNaN(value) ? 0 : (WIDTH - LEFT - RIGHT) * value / most;
    return [
      text(LEFT - 8, y + 15, name, "end"),
      `<rect x="${LEFT}" y="${y + 3}" width="${width.toFixed(1)}" height="16" fill="${
        ours ? "#2563eb" : "#94a3b8"
      }"/>`,
      text(LEFT + width + 6, y + 15, label, "start"),
    ].join("\n");
  });
  return svg(height, [text(12, 24, title, "start", 15), ...parts]);
}

/** One line of a chart. */
export interface Line {
  readonly name: string;
  /** Positive coordinates, in order. */
  readonly points: readonly { readonly x: number; readonly y: number }[];
  readonly ours: boolean;
}

const PALETTE = ["#94a3b8", "#f59e0b", "#10b981", "#ef4444", "#8b5cf6", "#78716c", "#ec4899", "#14b8a6"];

/** A chart of lines, both axes logarithmic. */
export function lines(title: string, unit: string, drawn: readonly Line[]): string {
  const points = drawn.flatMap((line) => line.points);
  const ends = (of: "x" | "y") => {
    const logs = points.map((point) => Math.log10(point[of]));
    const [low, high] = [Math.min(...logs), Math.max(...logs)];
    return high > low ? [low, high] as const : [low - 0.5, high + 0.5] as const;
  };
  const [left, right] = ends("x");
  const [low, high] = ends("y");
  const height = 380;
  const x = (value: number) => 60 + (WIDTH - 250) * (Math.log10(value) - left) / (right - left);
  const y = (value: number) => height - 40 - (height - 100) * (Math.log10(value) - low) / (high - low);
  const ticks = [...new Set(points.map((point) => point.x))].map((value) => {
    return text(x(value), height - 16, value.toLocaleString("en"), "middle");
  });
  const marks = [10 ** low, 10 ** ((low + high) / 2), 10 ** high].map((value) => {
    return text(52, y(value) + 4, value < 10 ? value.toFixed(1) : value.toFixed(0), "end");
  });
  // Names that would lie over each other are moved apart, from the lowest line up.
  let free = Infinity;
  const ordered = drawn.filter((line) => line.points.length > 0).toSorted((a, b) =>
    a.points.at(-1)!.y - b.points.at(-1)!.y
  );
  const named = ordered.map((line, i) => {
    const colour = line.ours ? "#2563eb" : PALETTE[i % PALETTE.length]!;
    const last = line.points.at(-1)!;
    const at = Math.min(free, y(last.y) + 4);
    free = at - 15;
    const path = line.points.map((point) => `${x(point.x).toFixed(1)},${y(point.y).toFixed(1)}`).join(" ");
    return [
      `<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="${line.ours ? 3 : 1.5}"/>`,
      text(x(last.x) + 10, at, `${line.name} ${last.y.toFixed(last.y < 10 ? 1 : 0)}`, "start", 12, colour),
    ].join("\n");
  });
  return svg(height, [text(12, 24, `${title}, ${unit}`, "start", 15), ...ticks, ...marks, ...named]);
}

function text(x: number, y: number, content: string, anchor: string, size = 12, fill = "#0f172a"): string {
  return `<text x="${x.toFixed(1)}" y="${
    y.toFixed(1)
  }" text-anchor="${anchor}" font-size="${size}" fill="${fill}">${escape(content)}</text>`;
}

function svg(height: number, parts: readonly string[]): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif">`,
    `<rect width="${WIDTH}" height="${height}" fill="#ffffff"/>`,
    ...parts,
    "</svg>",
    "",
  ].join("\n");
}
