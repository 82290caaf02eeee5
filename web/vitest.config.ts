// Unit tests in Node, and those of web/dist in headless Chromium.
import { defineConfig } from "vitest/config";

export default defineConfig({
    test: {
        projects: [
            {
                test: {
                    name: "unit",
                    include: ["tests/unit/**/*.test.ts", "tests/graph/**/*.test.ts"],
                },
            },
            {
                test: {
                    name: "browser",
                    include: ["tests/browser/*.test.ts"],
                    testTimeout: 120_000,
                    hookTimeout: 120_000,
                    maxWorkers: 1,
                    isolate: false,
                },
            },
        ],
    },
});
