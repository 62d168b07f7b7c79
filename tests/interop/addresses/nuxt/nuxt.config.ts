// A page that is kept for a minute has its data under an address of its own.
export default defineNuxtConfig({
  compatibilityDate: "2025-07-15",
  telemetry: false,
  routeRules: { "/report": { swr: 60 } },
});
