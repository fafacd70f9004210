import { defineConfig } from 'vitest/config'

/** Tests beside the code. No isolation: it costs a third of a second per file; tests share no module state. */
export default defineConfig({
  test: {
    include: ['src/**/*.test.ts', 'src/**/*.test.tsx', 'tools/**/*.test.ts'],
    setupFiles: ['tools/property-tests.ts'],
    pool: 'threads',
    isolate: false,
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
})
