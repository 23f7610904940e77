// Files and folders that are chosen or dropped go to the server one by one under their names; then they are synced.
const area = element.querySelector(".drop");
const status = element.querySelector(".status");
const hidden = (name) => name.split("/").some((part) => part.startsWith("."));

async function send(files) {
  const { most } = area.dataset;
  if (files.length > most) {
    status.textContent = `${files.length} files at once; at most ${most} are taken. Sync large folders instead.`;
    return;
  }
  const refused = [];
  for (const [number, [name, file]] of files.entries()) {
    status.textContent = `Sending ${number + 1} of ${files.length}: ${name}`;
    try {
      const reply = await fetch(`upload?name=${encodeURIComponent(name)}`, { method: "POST", body: file });
      const said = await reply.json();
      if (said.refused) refused.push(`${name}: ${said.refused}`);
      if (said.existing?.length) refused.push(`${name}: there already; remove it first to replace it`);
    } catch {
      refused.push(`${name}: the page has lost its server`);
    }
  }
  status.textContent = "";
  trigger("input", { act: "uploaded", refused: refused.join("\n") });
}

// A dropped folder is read to its end: a reader gives a hundred entries at a time.
async function files(entry, path = "") {
  const name = path + entry.name;
  if (hidden(entry.name)) return [];
  if (entry.isFile) return [[name, await new Promise((done, failed) => entry.file(done, failed))]];
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    const entries = await new Promise((done, failed) => reader.readEntries(done, failed));
    if (!entries.length) return found;
    for (const inner of entries) found.push(...await files(inner, `${name}/`));
  }
}

element.addEventListener("change", (event) => {
  const chosen = [...event.target.files].map((file) => [file.webkitRelativePath || file.name, file]);
  event.target.value = "";
  send(chosen.filter(([name]) => !hidden(name)));
});
for (const kind of ["dragover", "dragleave", "drop"]) {
  area.addEventListener(kind, async (event) => {
    event.preventDefault();
    area.classList.toggle("over", kind === "dragover");
    if (kind !== "drop") return;
    const plain = [...event.dataTransfer.files].map((file) => [file.name, file]);
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry()).filter(Boolean);
    send(entries.length ? (await Promise.all(entries.map((entry) => files(entry)))).flat() : plain);
  });
}
