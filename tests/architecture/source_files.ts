/** The project's own TypeScript, as the architecture checks read it. */

import { dirname, join, normalize } from "node:path/posix";
import { fileURLToPath } from "node:url";

/** Where the project begins. */
export const ROOT: string = fileURLToPath(new URL("../../", import.meta.url));

/** One source file. */
export interface SourceFile {
  /** From the project's root, with slashes. */
  readonly path: string;
  readonly text: string;
  /** The text without comments and without the contents of strings. */
  readonly code: string;
  /** What it imports or re-exports: paths from the root for its own files, specifiers as written for packages. */
  readonly imports: readonly string[];
}

const SKIPPED = new Set(["node_modules", ".git", ".build", "data", "coverage"]);

/** Reads all `.ts` files below a folder; none if there is no such folder. */
export function sourceFiles(folder: string): SourceFile[] {
  return filesBelow(folder).filter((path) => path.endsWith(".ts")).map((path) => {
    return sourceFile(path, Deno.readTextFileSync(join(ROOT, path)));
  });
}

/** The paths, from the root, of all files below a folder. */
export function filesBelow(folder: string): string[] {
  const found: string[] = [];
  for (const entry of Deno.readDirSync(join(ROOT, folder))) {
    if (SKIPPED.has(entry.name)) continue;
    const path = folder === "." ? entry.name : `${folder}/${entry.name}`;
    if (entry.isDirectory) found.push(...filesBelow(path));
    else found.push(path);
  }
  return found.sort();
}

/** Reads one file's imports. */
export function sourceFile(path: string, text: string): SourceFile {
  const code = codeOf(text);
  const imports: string[] = [];
  // Specifiers are strings, so they are found in the text at the places where the code has an import.
  for (const match of code.matchAll(/(?:\bfrom|\bimport)\s*\(?\s*(["'`])/g)) {
    const begin = match.index + match[0].length;
    const specifier = text.slice(begin, text.indexOf(match[1] ?? "", begin));
    imports.push(specifier.startsWith(".") ? normalize(join(dirname(path), specifier)) : specifier);
  }
  return { path, text, code, imports };
}

/** Blanks comments and the contents of strings, keeping every offset. */
export function codeOf(text: string): string {
  const out = text.split("");
  const blank = (from: number, to: number) => {
    for (let at = from; at < to; at++) if (out[at] !== "\n") out[at] = " ";
  };
  // A regular expression is told from a division by what stands before it.
  const token =
    /\/\/[^\n]*|\/\*[\s\S]*?\*\/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|(?<=[=(,:!&|?{;]\s*)\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n*])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n])*\//g;
  for (const match of text.matchAll(token)) {
    const end = match.index + match[0].length;
    const isComment = match[0].startsWith("//") || match[0].startsWith("/*");
    if (isComment) blank(match.index, end);
    else blank(match.index + 1, end - 1);
  }
  return out.join("");
}
