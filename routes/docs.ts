/** `/docs`: the admin API for people, made from its own description. It has no script and loads nothing from elsewhere. */

import { Hono } from "hono";
import { html } from "hono/html";
import type { HtmlEscapedString } from "hono/utils/html";
import { onlyRead } from "./methods.ts";

type Html = HtmlEscapedString | Promise<HtmlEscapedString>;

/** The parts of an OpenAPI document that are shown. */
interface Document {
  readonly info: { readonly title: string; readonly version: string; readonly description?: string };
  readonly tags?: readonly { readonly name: string; readonly description?: string }[];
  readonly paths?: { readonly [path: string]: { readonly [method: string]: Operation | undefined } };
  readonly components?: { readonly schemas?: { readonly [name: string]: unknown } };
}

interface Operation {
  readonly summary?: string;
  readonly description?: string;
  readonly tags?: readonly string[];
  readonly security?: readonly unknown[];
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { readonly content: Content };
  readonly responses: { readonly [status: string]: Answer };
}

interface Parameter {
  readonly name: string;
  readonly in: string;
  readonly required?: boolean;
  readonly description?: string;
  readonly schema?: unknown;
}

interface Answer {
  readonly description: string;
  readonly content?: Content;
}

interface Content {
  readonly [type: string]: { readonly schema?: unknown };
}

const METHODS = ["get", "put", "post", "patch", "delete"];

/** The routes of the page and its style. */
export function docs(described: object): Hono {
  const document = parsed(described);
  return new Hono()
    .get("/docs", (context) => context.html(page(document), 200, { "cache-control": "no-cache" }))
    .get("/docs.css", (context) => {
      return context.body(STYLE, 200, {
        "content-type": "text/css; charset=utf-8",
        "cache-control": "no-cache",
      });
    })
    .all("/docs", onlyRead)
    .all("/docs.css", onlyRead);
}

/** The document as it is served: plain JSON. */
function parsed(described: object): Document {
  return JSON.parse(JSON.stringify(described)) as Document;
}

function page({ info, tags = [], paths = {}, components }: Document): Html {
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    METHODS.flatMap((method) => {
      const operation = methods[method];
      return operation === undefined ? [] : [{ path, method, operation }];
    })
  );
  return html`
    <!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta name="color-scheme" content="light dark">
        <title>${info.title}</title>
        <link rel="icon" href="/icon.svg" type="image/svg+xml">
        <link rel="stylesheet" href="/docs.css">
      </head>
      <body>
        <header>
          <h1>${info.title}</h1>
          <p>${info.description ?? ""}</p>
          <p>The same for programs: <a href="/openapi.json">/openapi.json</a> (OpenAPI 3.1).</p>
        </header>
        <main>
              ${tags.map(({ name, description }) =>
                html`<section>
              <h2>${name}</h2>
              <p>${description ?? ""}</p>
              ${operations.filter(({ operation }) => operation.tags?.includes(name)).map(shown)}
            </section>`
              )}
              <section>
                <h2>schemas</h2>
                ${Object.entries(components?.schemas ?? {}).map(([name, schema]) =>
                  html`<details id="schema-${name}">
                <summary><code>${name}</code></summary>
                ${code(schema)}
              </details>`
                )}
              </section>
            </main>
      </body>
    </html>
  `;
}

function shown({ path, method, operation }: { path: string; method: string; operation: Operation }): Html {
  const { summary, description, parameters = [], requestBody, responses, security } = operation;
  return html`<details>
    <summary><b class="${method}">${method.toUpperCase()}</b> <code>${path}</code> <span>${
    summary ?? ""
  }</span></summary>
    ${description === undefined ? "" : html`<p>${description}</p>`}
    ${security?.length === 0 ? html`<p>Needs no credentials.</p>` : ""}
    ${
    parameters.length === 0 ? "" : html`
      <h3>Parameters</h3>
      <dl>${parameters.map((parameter) =>
        html`
          <dt><code>${parameter.name}</code> in ${parameter.in}${parameter.required === true
            ? ", required"
            : ""}</dt>
          <dd>${parameter.description ?? ""} ${code(parameter.schema)}</dd>
        `
      )}</dl>
    `
  }
    ${
    requestBody === undefined ? "" : html`<h3>Body</h3>
      ${contents(requestBody.content)}`
  }
    <h3>Answers</h3>
    <dl>${
    Object.entries(responses).map(([status, answer]) =>
      html`
        <dt>${status}</dt>
        <dd>${answer.description} ${contents(answer.content ?? {})}</dd>
      `
    )
  }</dl>
  </details>`;
}

function contents(content: Content): Html {
  return html`${
    Object.entries(content).map(([type, { schema }]) => html`<code>${type}</code> ${code(schema)}`)
  }`;
}

const REFERENCE = /^#\/components\/schemas\/(\w+)$/;

/** A schema, or the link to one that has a name. */
function code(schema: unknown): Html {
  if (schema === undefined) return html``;
  if (typeof schema === "object" && schema !== null && "$ref" in schema) {
    const name = REFERENCE.exec(String(schema.$ref))?.[1];
    if (name !== undefined) return html`<a href="#schema-${name}">${name}</a>`;
  }
  return html`<pre>${JSON.stringify(schema, null, 2)}</pre>`;
}

const STYLE = `:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 0 auto; padding: 1rem; }
h2 { margin: 2rem 0 0; text-transform: capitalize; border-bottom: 1px solid #8886; }
h3 { margin: 1rem 0 .25rem; font-size: 1rem; }
details { margin: .5rem 0; padding: .5rem .75rem; border: 1px solid #8886; border-radius: .5rem; }
summary { cursor: pointer; overflow-wrap: anywhere; }
summary:focus-visible, a:focus-visible { outline: 2px solid #2f7ae5; outline-offset: 2px; }
summary b { display: inline-block; min-width: 4.2rem; }
summary span { opacity: .8; }
.get { color: #1a7f4b; } .post { color: #a85b00; } .delete { color: #c0303b; }
@media (prefers-color-scheme: dark) { .get { color: #58d494; } .post { color: #f0a850; } .delete { color: #ff8088; } }
code, pre { font: .9rem/1.4 ui-monospace, monospace; overflow-wrap: anywhere; white-space: pre-wrap; }
pre { margin: .25rem 0; padding: .5rem; background: #8881; border-radius: .25rem; }
dd { margin: 0 0 .5rem 1rem; }
`;
