import { defineConfig } from 'vitest/config'

/** Minutes each, and each restarts whole platforms: `./cygnet test --long upgrade`. */
const long = ['e2e/hand-over.test.ts', 'e2e/unrecorded.test.ts']

/** Black box tests: they speak to a running Cygnet over the wire only. Mostly they wait, so two files share the machine. */
export default defineConfig({
  test: {
    include: ['e2e/**/*.test.ts'],
    exclude: process.env.CYGNET_LONG === undefined ? long : [],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 300_000,
    hookTimeout: 300_000,
  },
})
