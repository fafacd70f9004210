/** The web app: root src/shell/web, output build/web, every file named by its hash so that it can be kept for ever. */
import react from '@vitejs/plugin-react'
import { defineConfig } from 'vite'

export default defineConfig(({ command }) => {
  // A test runner's NODE_ENV must not turn the product into React's development build.
  if (command === 'build') process.env['NODE_ENV'] = 'production'
  return {
    root: 'src/shell/web',
    plugins: [react()],
    build: {
      outDir: '../../../build/web',
      emptyOutDir: true,
      assetsDir: 'assets',
      target: 'es2022',
      // The page carries no inline script and no data: URL, so `script-src 'self'` is enough.
      assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
      chunkSizeWarningLimit: 900,
    },
    worker: { format: 'es' },
    server: {
      // For work on pages: CYGNET_PLATFORM names a running platform, `npx vite` serves the pages over it.
      proxy: {
        '/api': { target: process.env['CYGNET_PLATFORM'] ?? 'http://127.0.0.1:8410', changeOrigin: true },
        '/oidc': { target: process.env['CYGNET_PLATFORM'] ?? 'http://127.0.0.1:8410', changeOrigin: true },
      },
    },
  }
})
