import { defineConfig } from 'vitest/config'

/** Black box tests: they speak to a running Cygnet over the wire only. Mostly they wait, so two files share the machine. */
export default defineConfig({
  test: {
    include: ['e2e/**/*.test.ts'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 300_000,
    hookTimeout: 300_000,
  },
})
