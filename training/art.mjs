// Writes the artwork as SVG files: emoji from two openly licensed sets, avatars from DiceBear.
// Usage: node art.mjs world.json OUT   (world.json: the vocabulary, written by render.py)
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const [worldFile, out] = process.argv.slice(2);
const world = JSON.parse(readFileSync(worldFile, 'utf8'));
const require = createRequire(join(process.cwd(), 'package.json'));
const load = (name) => import(pathToFileURL(require.resolve(name)).href);

const SETS = { noto: '@iconify-json/noto', ink: '@iconify-json/fluent-emoji-high-contrast' };
for (const [key, name] of Object.entries(SETS)) {
  const set = require(`${name}/icons.json`);
  mkdirSync(join(out, key), { recursive: true });
  for (const { name: object, icon } of world.objects) {
    const entry = set.icons[icon] ?? set.icons[set.aliases?.[icon]?.parent];
    if (!entry) throw new Error(`${name} has no icon "${icon}"`);
    const width = entry.width ?? set.width;
    const height = entry.height ?? set.height;
    const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="128" height="128">${entry.body}</svg>`;
    writeFileSync(join(out, key, `${object}.svg`), svg);
  }
}

const { createAvatar } = await load('@dicebear/core');
const { personas } = await load('@dicebear/collection');
const MOUTHS = ['smile', 'frown', 'surprise', 'bigSmile', 'smirk', 'lips'];
const EYES = ['open', 'happy', 'wink', 'sleep'];
const BODIES = ['squared', 'rounded', 'small', 'checkered'];
const CLOTHES = ['456dff', '54d7c7', '7555ca', '6dbb58', 'e24553', 'f3b63a', 'f55d81'];
mkdirSync(join(out, 'people'), { recursive: true });
for (const [person, face] of Object.entries(world.people)) {
  let count = 0;
  for (const mouth of MOUTHS)
    for (const eyes of face.eyes ? [face.eyes] : EYES)
      for (let i = 0; i < 4; i++) {
        const options = {
          seed: person, size: 128, mouth: [mouth], eyes: [eyes], nose: ['mediumRound'],
          body: [BODIES[(count + i) % 4]], clothingColor: [CLOTHES[(3 * count + i) % 7]],
          hair: [face.hair], skinColor: [face.skinColor], hairColor: [face.hairColor],
          facialHair: [face.facialHair ?? 'shadow'], facialHairProbability: face.facialHair ? 100 : 0,
        };
        const file = `${person.replace(' ', '_')}-${String(count++).padStart(3, '0')}.svg`;
        writeFileSync(join(out, 'people', file), createAvatar(personas, options).toString());
      }
}
