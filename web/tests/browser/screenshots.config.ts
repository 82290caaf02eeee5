// Of `npm run screenshots`, which is no test.
import { defineConfig } from "vitest/config";

export default defineConfig({ test: { include: ["tests/browser/screenshots.ts"] } });
