// Says which links of a site lead nowhere: `node docs/links.mjs target/book`. Those to other sites are not followed.
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";

const site = resolve(process.argv[2]);
const read = (file) => readFileSync(file, "utf8");
const pages = readdirSync(site, { recursive: true })
  .filter((name) => name.endsWith(".html") && !["404.html", "print.html", "toc.html"].includes(name))
  .map((name) => join(site, name));
const wrong = [];
let links = 0;

for (const page of pages) {
  for (const [, link] of read(page).matchAll(/<[a-z][^>]*\s(?:href|src)="([^"]*)"/g)) {
    if (/^([a-z]+:|\/\/)/.test(link)) continue;
    links += 1;
    const [path, anchor] = decodeURI(link).split("#");
    const file = path ? resolve(dirname(page), path) : page;
    if (!file.startsWith(site) || !existsSync(file) || !statSync(file).isFile()) wrong.push([page, link]);
    else if (anchor && !read(file).includes(` id="${anchor}"`)) wrong.push([page, link]);
  }
}
// A document that no page links to is not on the site.
for (const name of readdirSync(join(site, "../book-source/docs")).filter((name) => name.endsWith(".md"))) {
  if (!existsSync(join(site, "docs", name.replace(/md$/, "html")))) wrong.push(["docs/SUMMARY.md", `${name} is missing`]);
}

for (const [page, link] of wrong) console.error(`${relative(site, page)}: ${link}`);
console.log(`${pages.length} pages, ${links} links, ${wrong.length} of them lead nowhere`);
process.exit(pages.length > 0 && wrong.length === 0 ? 0 : 1);
