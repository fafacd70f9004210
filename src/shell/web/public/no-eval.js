// Runs before every module: Zod must not try `new Function`, which our content security policy refuses and reports.
globalThis.__zod_globalConfig = { jitless: true }
