// One app for three versions; what differs between them comes from the environment.
module.exports = {
  basePath: process.env.BASE_PATH ?? "",
  i18n: { locales: ["en", "de"], defaultLocale: "en", localeDetection: false },
};
