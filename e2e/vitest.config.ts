import { defineConfig } from 'vitest/config'

/** Black box tests: they speak to a running Cygnet over the wire only, one file after the other. */
export default defineConfig({
  test: {
    include: ['e2e/**/*.test.ts'],
    pool: 'forks',
    fileParallelism: false,
    testTimeout: 300_000,
    hookTimeout: 300_000,
  },
})
