#!/bin/bash
# Holds the objects in examples/kubernetes against the API's types and schemas, and the configuration in them
# against the exporter:
#   kubernetes.sh DIR
# The types (TypeScript) refuse fields that do not exist or are missing, the schemas values that are wrong.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"

# The API of Kubernetes, and the Prometheus operator's.
MODELS=(kubernetes-models@5.1.0 @kubernetes-models/prometheus-operator@6.0.0)
TOOLS=(typescript@5.9.3 yaml@2.8.1)

root=$(cd "$(dirname "$(readlink -f "$0")")/../.." && pwd)
[[ $# == 1 ]] || die "usage: kubernetes.sh DIR"
prepare "$1"
command -v npm >/dev/null || apt_install nodejs npm
mkdir -p "$dir/kubernetes"
cd "$dir/kubernetes"
echo '{"private": true, "type": "module"}' >package.json
# The models ask for a newer Node.js than Debian's, and do without.
npm install --ignore-scripts --no-audit --no-fund --save-exact --loglevel=error "${MODELS[@]}" "${TOOLS[@]}" \
    >"$dir/logs/npm.log" 2>&1 || {
    tail -n 20 "$dir/logs/npm.log" >&2
    die "npm install failed"
}

# Each folder of objects becomes a program: every object as a literal of its type, and its validation.
cat >translate.js <<'END'
import fs from "node:fs";
import path from "node:path";
import { parseAllDocuments } from "yaml";

for (const folder of process.argv.slice(2)) {
  const files = fs.readdirSync(folder).filter((name) => name.endsWith(".yml")).sort();
  const lines = [];
  for (const file of files) {
    for (const document of parseAllDocuments(fs.readFileSync(path.join(folder, file), "utf8"), { uniqueKeys: true })) {
      for (const problem of [...document.errors, ...document.warnings]) throw new Error(`${file}: ${problem.message}`);
      const { apiVersion, kind, ...object } = document.toJS();
      const models = apiVersion.startsWith("monitoring.coreos.com/")
        ? "@kubernetes-models/prometheus-operator"
        : "kubernetes-models";
      const name = `o${lines.length}`;
      lines.push(`import { ${kind} as ${name} } from "${models}/${apiVersion}/${kind}";`);
      const shown = JSON.stringify(`${file}: ${apiVersion} ${kind}`);
      lines.push(`show(${shown}, new ${name}(${JSON.stringify(object, null, 2)}));`);
      if (kind === "ConfigMap") fs.writeFileSync(`${path.basename(folder)}-mail.yml`, object.data["mail.yml"]);
    }
  }
  lines.push(`
function show(what: string, object: { validate(): void }): void {
  try {
    object.validate();
  } catch (error) {
    throw new Error(what + ": " + (error as Error).message);
  }
  console.log(what + ": ok");
}`);
  fs.writeFileSync(`${path.basename(folder)}.ts`, lines.join("\n"));
}
END

# A check that finds nothing wrong is worth what it finds in what is wrong.
complaints=()
wrong() { # FILE SED-EXPRESSION COMPLAINT: this change to the file must bring this complaint
    local name=wrong${#complaints[@]}
    mkdir -p "$name"
    sed "$2" "$root/examples/kubernetes/$1" >"$name/$1"
    ! cmp -s "$name/$1" "$root/examples/kubernetes/$1" || die "$1 has nothing for $2"
    complaints+=("$3")
}
wrong deployment.yml 's/readOnlyRootFilesystem/readonlyRootFilesystem/' "'readonlyRootFilesystem' does not exist"
wrong deployment.yml 's/replicas: 1/replicas: one/' "Type 'string' is not assignable to type 'number'"
wrong servicemonitor.yml 's/scrapeTimeout: 10s/scrapeTimeout: 10/' "Type 'number' is not assignable to type 'string'"
wrong servicemonitor.yml 's/interval: 30s/interval: half a minute/' 'interval must match pattern'
wrong probe.yml 's/url:/address:/' "'address' does not exist"
wrong scrapeconfig.yml 's/fileSDConfigs/fileSdConfigs/' 'fileSdConfigs'

node translate.js "$root/examples/kubernetes" wrong*/
# All at once, for most of the time is spent reading the models.
npx tsc --strict --skipLibCheck --target es2022 --module nodenext ./*.ts >complaints || true
! grep '^kubernetes\.ts' complaints || die "examples/kubernetes has what the API does not know"
node kubernetes.js || die "examples/kubernetes has a value that the API does not take"
for number in "${!complaints[@]}"; do
    # What the types let pass, the schemas must refuse.
    grep "^wrong$number\.ts" complaints >wrong || ! node "wrong$number.js" >wrong 2>&1 || die "passes: $(<"wrong$number.ts")"
    tr -d '"' <wrong | grep -qF "${complaints[number]}" || die "not refused for ${complaints[number]}: $(<wrong)"
done
mail=$PWD/kubernetes-mail.yml
(cd "$root" && cargo run --locked --quiet -- check --config.file "$mail")
