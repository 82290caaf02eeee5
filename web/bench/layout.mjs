/**
 * CPU time of layouts: npm run bench:layout [-- REPORT.json ...].  Reports are what
 * `oxide_xla inspect MODEL --format json` writes; transformers of 12 layers and of 5,000
 * nodes are made up here.  The first layout of each is with code that is still cold.
 */
import { readFileSync } from "node:fs";
import { runnerImport } from "vite";

const load = async (path) =>
    (await runnerImport(new URL(path, import.meta.url).pathname)).module;
const { synthetic } = await load("./synthetic.ts");
const { buildModel } = await load("../src/graph/model.ts");
const { buildScene, firstOpen } = await load("../src/graph/scene.ts");

const ROUNDS = 15;
const LEAST_MS = 1500;

function cpu(run) {
    const before = process.cpuUsage();
    run();
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1000;
}

/** The first run, and the median of the second half of many. */
function time(run) {
    const cold = cpu(run);
    const times = [];
    for (let sum = 0; times.length < 2 * ROUNDS || sum < LEAST_MS;) {
        times.push(cpu(run));
        sum += times.at(-1) + 0.1;
    }
    const warm = times.slice(times.length >> 1).sort((x, y) => x - y);
    return { cold, median: warm[warm.length >> 1] };
}

const reports = [
    ["transformer of 12 layers, no modules", synthetic(12 * 31, false)],
    ["transformer of 12 layers", synthetic(12 * 31, true)],
    ["5,000 nodes, no modules", synthetic(5000, false)],
    ["5,000 nodes", synthetic(5000, true)],
    ...process.argv
        .slice(2)
        .map((path) => [path, JSON.parse(readFileSync(path, "utf8"))]),
];
console.log("ms of CPU: the first time, and the median once the code is warm");
for (const [name, report] of reports) {
    const model = buildModel(report);
    const cases = {
        model: () => buildModel(report),
        "as it opens": () => buildScene(model, firstOpen(model)),
        "all open": () => buildScene(model, new Set(model.groups.keys())),
    };
    for (const [what, run] of Object.entries(cases)) {
        const { cold, median } = time(run);
        const numbers = `${cold.toFixed(1).padStart(8)} ${median.toFixed(1).padStart(8)}`;
        console.log(`${name.slice(-44).padEnd(44)} ${what.padEnd(12)} ${numbers}`);
    }
}
