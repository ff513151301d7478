// Writes the artwork of emoji-scenes as SVG files, beside that of art.mjs.
// Usage: node scenes_art.mjs icons.json OUT   (icons.json: set to icon names; by scenes_render.py)
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const [iconsFile, out] = process.argv.slice(2);
const require = createRequire(join(process.cwd(), 'package.json'));

for (const [name, icons] of Object.entries(JSON.parse(readFileSync(iconsFile, 'utf8')))) {
  const set = require(`@iconify-json/${name}/icons.json`);
  mkdirSync(join(out, name), { recursive: true });
  for (const icon of icons) {
    const entry = set.icons[icon] ?? set.icons[set.aliases?.[icon]?.parent];
    if (!entry) continue; // not every set has skin tones; scenes_draw.py asks for one drawing only
    const width = entry.width ?? set.width;
    const height = entry.height ?? set.height;
    const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="128" height="128">${entry.body}</svg>`;
    writeFileSync(join(out, name, `${icon}.svg`), svg);
  }
}
