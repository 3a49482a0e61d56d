/**
 * Builds dist/: `node src/build.mjs [--quiet] [--out DIR]`.
 *
 *     dist/mmtop.js        the command; the screens are chunks of their own, loaded when they are opened
 *     dist/sim_worker.js   the simulator's thread
 *     dist/bench.js, dist/fidelity.js
 *     dist/mmtop.1, dist/completion/*, dist/schema/*      made from the command's own tables
 *
 * Everything is bundled, so that an installed mmtop needs no packages. Three things of the screens' packages would not
 * survive that and are set right here: blessed requires its widgets by computed names; blessed-contrib pulls in maps,
 * Markdown and pictures (3 MB) that nothing here draws; Ink pulls in React's developer tools.
 */
import { execFileSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { build } from 'esbuild'

const root = new URL('..', import.meta.url)
const path = name => new URL(name, root).pathname
const { version } = JSON.parse(readFileSync(path('package.json'), 'utf8'))

/** dist/NAME.js from each entry that exists. */
const ENTRIES = {
  mmtop: 'src/cli/main.ts',
  sim_worker: 'src/sim/worker.ts',
  bench: 'src/cli/bench.ts',
  fidelity: 'src/cli/fidelity.ts',
}

/** Modules that are replaced by an empty one. */
const STUBS = [/^react-devtools-core$/, /widget\/(map|markdown|picture)(\.js)?$/, /layout\/(grid|carousel)(\.js)?$/, /server-utils$/]

const stubs = {
  name: 'stubs',
  setup({ onResolve, onLoad }) {
    for (const filter of STUBS) onResolve({ filter }, ({ path: name }) => ({ path: name, namespace: 'stub' }))
    onLoad({ filter: /.*/, namespace: 'stub' }, () => ({ contents: 'export default {}' }))
  },
}

/** What the deprecated constructor did, for numbers and for data. */
const NEW_BUFFER = "const newBuffer = (from, coding) => (typeof from === 'number' ? Buffer.alloc(from) : Buffer.from(from, coding));\n"

/** blessed as a bundler can read it, without deprecated buffers and without the terminals it would start. */
const blessed = {
  name: 'blessed',
  setup({ onLoad }) {
    onLoad({ filter: /node_modules\/blessed\/lib\/widget\.js$/ }, ({ path: file }) => ({
      contents: readFileSync(file, 'utf8').replace("require('./widgets/' + file)", "require('./widgets/' + file + '.js')"),
    }))
    onLoad({ filter: /node_modules\/(blessed|drawille[\w-]*|ansi-term|term-canvas)\/.*\.js$/ }, ({ path: file }) => ({
      contents: NEW_BUFFER + readFileSync(file, 'utf8').replace(/new Buffer\(/g, 'newBuffer('),
    }))
  },
}

/** Yoga has its WebAssembly with it, but would ask fetch for it: Node loads a whole HTTP client then, 25 ms of the first frame. */
const yoga = {
  name: 'yoga',
  setup({ onLoad }) {
    onLoad({ filter: /node_modules\/yoga-layout\/.*wasm.*\.js$/ }, ({ path: file }) => ({
      contents: readFileSync(file, 'utf8').replaceAll('"function"!=typeof fetch', 'true'),
    }))
  },
}

const outAt = process.argv.indexOf('--out')
const out = outAt < 0 ? path('dist') : process.argv[outAt + 1]
rmSync(out, { recursive: true, force: true })
const entries = Object.entries(ENTRIES).filter(([, file]) => existsSync(path(file)))
const result = await build({
  absWorkingDir: root.pathname,
  entryPoints: Object.fromEntries(entries),
  outdir: out,
  bundle: true,
  splitting: true,
  chunkNames: 'chunks/[name]-[hash]',
  format: 'esm',
  platform: 'node',
  target: 'node20',
  define: { 'process.env.NODE_ENV': '"production"', 'process.env.MMTOP_VERSION': JSON.stringify(version) },
  // CommonJS packages call require for Node's own modules.
  banner: {
    js: "import { createRequire as createRequireForBundle } from 'node:module'; const require = createRequireForBundle(import.meta.url);",
  },
  // Names stay, so that a stack of a bug can be read.
  minifyWhitespace: true,
  minifySyntax: true,
  // The benchmark's terminal has a part that cannot be bundled.
  external: ['term.js', 'pty.js', '@lydell/node-pty'],
  plugins: [stubs, blessed, yoga],
  legalComments: 'eof',
  logLevel: 'warning',
  metafile: true,
})
chmodSync(`${out}/mmtop.js`, 0o755)

/** What the command says of itself. */
const PAPER = {
  'mmtop.1': ['man'],
  'completion/mmtop.bash': ['completion', 'bash'],
  'completion/_mmtop': ['completion', 'zsh'],
  'completion/mmtop.fish': ['completion', 'fish'],
  'schema/snapshot.schema.json': ['schema', 'snapshot'],
  'schema/config.schema.json': ['schema', 'config'],
}
for (const directory of ['completion', 'schema']) mkdirSync(`${out}/${directory}`)
for (const [file, words] of Object.entries(PAPER))
  writeFileSync(`${out}/${file}`, execFileSync(process.execPath, [`${out}/mmtop.js`, ...words]))

if (!process.argv.includes('--quiet'))
  for (const [file, { bytes }] of Object.entries(result.metafile.outputs))
    console.log(`${String(Math.ceil(bytes / 1024)).padStart(6)} KiB  ${file}`)
