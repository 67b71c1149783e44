// Lists what openapi.json describes, with a form to try each call.

const METHODS = ["get", "post", "put", "patch", "delete"];
const main = document.getElementById("operations");

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function field(form, name, label, tag = "input") {
  const input = element(tag, { name, autocomplete: "off", spellcheck: "false" });
  form.append(element("label", {}, element("span", {}, label), input));
  return input;
}

function operation(path, method, described) {
  const form = element("form");
  const parameters = (described.parameters ?? []).filter((p) => p.in !== "header");
  const inputs = parameters.map((p) => [
    p,
    field(form, p.name, `${p.name}${p.required ? "" : " (optional)"} ${p.description ?? ""}`),
  ]);
  const body = described.requestBody ? field(form, "body", "JSON body", "textarea") : null;
  const answer = element("pre", { hidden: "", tabindex: "0", "aria-live": "polite" });
  form.append(element("button", {}, "Send"), answer);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    let url = path;
    const query = new URLSearchParams();
    for (const [parameter, input] of inputs) {
      if (parameter.in === "path") url = url.replace(`{${parameter.name}}`, encodeURIComponent(input.value));
      else if (input.value) query.set(parameter.name, input.value);
    }
    if (query.size) url += `?${query}`;
    answer.hidden = false;
    answer.textContent = `${method.toUpperCase()} ${url}`;
    const stop = new AbortController();
    const timer = setTimeout(() => stop.abort(), 10_000);
    try {
      const response = await fetch(url, {
        method: method.toUpperCase(),
        signal: stop.signal,
        ...(body?.value ? { body: body.value, headers: { "content-type": "application/json" } } : {}),
      });
      const type = response.headers.get("content-type") ?? "";
      let text = `(${type || "no body"})`;
      if (type.includes("json")) {
        text = await response.text();
        if (text) text = JSON.stringify(JSON.parse(text), null, 2);
      } else {
        stop.abort();
      }
      answer.textContent += `\n${response.status} ${response.statusText}\n\n${text}`;
    } catch (error) {
      answer.textContent += `\n${error}`;
    } finally {
      clearTimeout(timer);
    }
  });
  const summary = element(
    "summary",
    {},
    element("span", { class: "method" }, method.toUpperCase()),
    element("code", {}, path),
    ` ${described.summary ?? ""}`,
  );
  return element("details", {}, summary, element("div", { class: "inside" }, form));
}

const description = await_json("/api/v1/openapi.json");
description.then(
  (api) => {
    main.replaceChildren();
    for (const tag of api.tags ?? []) {
      main.append(element("h2", {}, tag.description || tag.name));
      for (const [path, item] of Object.entries(api.paths)) {
        for (const method of METHODS) {
          if (item[method]?.tags?.includes(tag.name)) main.append(operation(path, method, item[method]));
        }
      }
    }
  },
  (error) => main.replaceChildren(element("p", {}, `The description cannot be read: ${error}`)),
);

async function await_json(url) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${response.status} ${response.statusText}`);
  return response.json();
}
