/**
 * A reader of Prometheus' text format that is as strict as `promtool check metrics`: it throws at the first line that a
 * scraper could refuse, or that a person would call wrong.
 */

/** One line with a value. */
export interface Sample {
  readonly name: string;
  readonly labels: ReadonlyMap<string, string>;
  readonly value: number;
}

/** A metric with all its lines. */
export interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly samples: readonly Sample[];
}

const NAME = /^[a-z_][a-z0-9_]*$/;
const TYPES = ["counter", "gauge", "histogram"] as const;

/**
 * Reads a page, and judges it.
 *
 * @throws Error that names the line, or the family, and what is wrong with it.
 */
export function parseExposition(text: string): Map<string, Family> {
  if (!text.endsWith("\n")) throw new Error("the page does not end with a line feed");
  const families = new Map<string, Family & { samples: Sample[] }>();
  let current: (Family & { samples: Sample[] }) | undefined;
  let help: { readonly name: string; readonly text: string } | undefined;
  for (const line of text.slice(0, -1).split("\n")) {
    const fail = (why: string): never => {
      throw new Error(`${why}: ${JSON.stringify(line)}`);
    };
    const helping = /^# HELP (\S+) (.+)$/.exec(line);
    const typing = /^# TYPE (\S+) (\S+)$/.exec(line);
    if (helping !== null) {
      if (help !== undefined) fail("two HELP lines without a TYPE between them");
      help = { name: helping[1]!, text: helping[2]! };
    } else if (typing !== null) {
      const [, name = "", kind] = typing;
      const type = TYPES.find((known) => known === kind) ?? fail("an unknown type");
      if (help?.name !== name) throw new Error(`${name} has no HELP just before its TYPE`);
      if (!NAME.test(name)) fail("not a name");
      if (families.has(name)) fail("a family that was there before");
      current = { name, help: help.text, type, samples: [] };
      families.set(name, current);
      help = undefined;
    } else {
      if (line.startsWith("#") || line === "") fail("neither HELP, TYPE nor a sample");
      if (help !== undefined || current === undefined) throw new Error(`a sample without a TYPE: ${line}`);
      current.samples.push(parseSample(line));
    }
  }
  if (help !== undefined) throw new Error(`${help.name} has a HELP and nothing else`);
  for (const family of families.values()) judge(family);
  return families;
}

/** The value of one series. @throws Error if there is none. */
export function valueOf(
  families: Map<string, Family>,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number {
  const family = families.get(name) ?? families.get(name.replace(/_(bucket|sum|count)$/, ""));
  const wanted = seriesOf({ name, labels: new Map(Object.entries(labels)), value: 0 });
  const found = family?.samples.find((sample) => seriesOf(sample) === wanted);
  if (found === undefined) throw new Error(`no series ${wanted}`);
  return found.value;
}

function parseSample(line: string): Sample {
  const match = /^([a-z_][a-z0-9_]*)(?:\{(.*)\})? (\S+)$/.exec(line);
  if (match === null) throw new Error(`not a sample: ${JSON.stringify(line)}`);
  const [, name = "", labelText, valueText = ""] = match;
  const labels = new Map<string, string>();
  let rest = labelText ?? "";
  if (labelText === "") throw new Error(`empty braces: ${JSON.stringify(line)}`);
  while (rest !== "") {
    const pair = /^([a-z_][a-z0-9_]*)="((?:[^"\\]|\\[\\n"])*)"(,(?=.)|$)/.exec(rest);
    if (pair === null) throw new Error(`not a label: ${JSON.stringify(rest)}`);
    const [whole, label = "", escaped = ""] = pair;
    if (labels.has(label)) throw new Error(`label ${label} twice: ${JSON.stringify(line)}`);
    labels.set(label, escaped.replace(/\\(.)/g, (_, c: string) => c === "n" ? "\n" : c));
    rest = rest.slice(whole.length);
  }
  if (!/^([+-]Inf|NaN|-?\d+(\.\d+)?(e[+-]?\d+)?)$/.test(valueText)) {
    throw new Error(`not a number: ${JSON.stringify(line)}`);
  }
  return { name, labels, value: Number(valueText.replace("Inf", "Infinity")) };
}

function judge(family: Family): void {
  const { name, type, samples } = family;
  const fail = (why: string): never => {
    throw new Error(`${name}: ${why}`);
  };
  const series = samples.map(seriesOf);
  if (new Set(series).size !== series.length) fail("a series twice");
  if (samples.some(({ value }) => Number.isNaN(value))) fail("a value that is no number");
  if (type === "counter" && !name.endsWith("_total")) fail("a counter whose name does not end in _total");
  if (type !== "counter" && name.endsWith("_total")) fail("_total on what is no counter");
  if (/_(bucket|sum|count)$/.test(name)) fail("a name that ends like a part of a histogram");
  if (/_(ms|milliseconds|kb|mb)(_|$)/.test(name)) fail("not in a base unit");
  if (type === "histogram") return judgeHistogram(family);
  if (samples.some((sample) => sample.name !== name)) fail("a sample of another name");
  if (type === "counter" && samples.some(({ value }) => value < 0)) fail("a negative count");
}

function judgeHistogram({ name, samples }: Family): void {
  const groups = new Map<string, Sample[]>();
  for (const sample of samples) {
    const labels = new Map([...sample.labels].filter(([label]) => label !== "le"));
    const group = seriesOf({ name, labels, value: 0 });
    groups.set(group, [...groups.get(group) ?? [], sample]);
  }
  for (const group of groups.values()) judgeOneHistogram(name, group);
}

function judgeOneHistogram(name: string, samples: readonly Sample[]): void {
  const fail = (why: string): never => {
    throw new Error(`${name}: ${why}`);
  };
  const buckets = samples.filter((sample) => sample.name === `${name}_bucket`);
  const bounds = buckets.map(({ labels }) => Number((labels.get("le") ?? "").replace("Inf", "Infinity")));
  if (bounds.at(-1) !== Infinity) fail("the last bucket is not +Inf");
  if (bounds.some((bound, at) => Number.isNaN(bound) || at > 0 && bound <= bounds[at - 1]!)) {
    fail("bounds that do not ascend");
  }
  if (buckets.some(({ value }, at) => at > 0 && value < buckets[at - 1]!.value)) {
    fail("buckets that are not cumulative");
  }
  const [sum, ...sums] = samples.filter((sample) => sample.name === `${name}_sum`);
  const [count, ...counts] = samples.filter((sample) => sample.name === `${name}_count`);
  if (sum === undefined || count === undefined || sums.length + counts.length > 0) {
    fail("no one sum and count");
  }
  if (count!.value !== buckets.at(-1)!.value) fail("the count is not what +Inf holds");
  if (samples.length !== buckets.length + 2) fail("a sample that is no part of it");
}

function seriesOf({ name, labels }: Sample): string {
  const pairs = [...labels].sort(([a], [b]) => a < b ? -1 : 1).map(([label, value]) =>
    `${label}=${JSON.stringify(value)}`
  );
  return `${name}{${pairs.join(",")}}`;
}
