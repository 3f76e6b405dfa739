/** Prometheus' text format, version 0.0.4. */

import type { CountByName, Histogram } from "./counted_metrics.ts";

/** The `content-type` of the text. */
export const EXPOSITION_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/** A metric's labels: fixed names, few values. */
export type Labels = { readonly [name: string]: string };

/** Writes one page of metrics, family after family. Each name is written once. */
export class Exposition {
  #text = "";

  /** The page so far. */
  get text(): string {
    return this.#text;
  }

  /** A total that only grows; its name ends in `_total`. */
  counter(name: string, help: string, value: number): void {
    this.#head(name, "counter", help);
    this.#sample(name, {}, value);
  }

  /** A total for each value of one label. */
  counters(name: string, help: string, label: string, values: Iterable<readonly [string, number]>): void {
    this.#head(name, "counter", help);
    for (const [value, count] of values) this.#sample(name, { [label]: value }, count);
  }

  /** As {@link counters}, from a count by name. */
  counted<N extends string>(name: string, help: string, label: string, { counts }: CountByName<N>): void {
    this.counters(name, help, label, counts);
  }

  /** A total for each combination of several labels. */
  labelled(name: string, help: string, values: Iterable<readonly [Labels, number]>): void {
    this.#head(name, "counter", help);
    for (const [labels, count] of values) this.#sample(name, labels, count);
  }

  gauge(name: string, help: string, value: number, labels: Labels = {}): void {
    this.#head(name, "gauge", help);
    this.#sample(name, labels, value);
  }

  /** A gauge for each value of one label. */
  gauges(name: string, help: string, label: string, values: Iterable<readonly [string, number]>): void {
    this.#head(name, "gauge", help);
    for (const [value, level] of values) this.#sample(name, { [label]: value }, level);
  }

  /** @param unit What one unit of the histogram is in the metric's unit: 0.001 from milliseconds to seconds. */
  histogram(name: string, help: string, histogram: Histogram, unit: number): void {
    this.histograms(name, help, [[{}, histogram]], unit);
  }

  /** A histogram for each combination of several labels. */
  histograms(
    name: string,
    help: string,
    values: Iterable<readonly [Labels, Histogram]>,
    unit: number,
  ): void {
    this.#head(name, "histogram", help);
    for (const [labels, { bounds, counts, sum }] of values) {
      let count = 0;
      for (const [index, bound] of bounds.entries()) {
        count += counts[index]!;
        this.#sample(`${name}_bucket`, { ...labels, le: number(rounded(bound * unit)) }, count);
      }
      count += counts[bounds.length]!;
      this.#sample(`${name}_bucket`, { ...labels, le: "+Inf" }, count);
      this.#sample(`${name}_sum`, labels, rounded(sum * unit));
      this.#sample(`${name}_count`, labels, count);
    }
  }

  #head(name: string, type: "counter" | "gauge" | "histogram", help: string): void {
    const line = help.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
    this.#text += `# HELP ${name} ${line}\n# TYPE ${name} ${type}\n`;
  }

  #sample(name: string, labels: Labels, value: number): void {
    const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escaped(text)}"`);
    this.#text += `${name}${pairs.length === 0 ? "" : `{${pairs.join(",")}}`} ${number(value)}\n`;
  }
}

/** What binary fractions add to a number of milliseconds is no information. */
function rounded(value: number): number {
  return Math.round(value * 1e6) / 1e6;
}

function number(value: number): string {
  if (value === Infinity) return "+Inf";
  if (value === -Infinity) return "-Inf";
  return String(value);
}

function escaped(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
