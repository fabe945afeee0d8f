//! What `--help` teaches beyond the options: examples first, then what one should know, then exit codes. The man pages and
//! docs/CLI.md take theirs from here, by way of [`super::reference`], which fixes the form: paragraphs, of which one begins
//! with `Examples:` and one with `Exit codes:`. `-h` leaves all of it out.

pub const HOLDFAST: &str = "\
Examples:
  holdfast demo                    all of it on sample logs, in a folder of its own
  holdfast check                   are settings and policies right?
  holdfast plan                    what would a run do, and why? what would it destroy?
  holdfast run                     archive what is due; every night, from cron or a timer
  holdfast status                  is all well? what waits, and for what?

Settings stand in holdfast.toml: --config, else $HOLDFAST_CONFIG, ./holdfast.toml, /etc/holdfast/holdfast.toml. Results \
go to stdout, everything else to stderr. Colours and bars are for terminals only; NO_COLOR=1 turns colours off, \
CLICOLOR_FORCE=1 on.

Exit codes: 0 done · 1 failed · 2 usage · 3 done, some objects failed · 4 needs a decision · 5 damage found · 75 another \
run holds the lease.";

pub const CHECK: &str = "\
Examples:
  holdfast check
  holdfast check --config /etc/holdfast/holdfast.toml
  holdfast check --as-of 2026-12-31T00:00:00Z      when does the schedule fire after that?
  holdfast check --stores                          can archive, ledger and sources be trusted?

Reads settings and policies only, and shows all mistakes at once, each with its file and line.

Exit codes: 0 right · 1 a policy is invalid · 2 the settings are.";

pub const PLAN: &str = "\
Examples:
  holdfast plan
  holdfast plan --table SecurityEvent --as-of 2026-12-31
  holdfast plan --out plan.json      then: holdfast approve plan.json --reason …

Changes nothing. The same logs, policies and time give the same plan, byte for byte.

Exit codes: 0 nothing waits for a person · 1 failed · 2 usage · 4 something needs an approval · 5 damage found.";

pub const APPROVE: &str = "\
Examples:
  holdfast plan --out plan.json
  holdfast approve plan.json --reason \"ticket 4711: 90 days are enough for firewall logs\"
  holdfast approve plan.json --reason \"ticket 4711\" --by \"Zoe Muster\"

Nothing is destroyed by this: the next run retires what matches exactly, and destroys it after its purge_delay. An \
approval is good for 30 days.

Exit codes: 0 consented · 1 failed · 2 the plan is not of this archive, policy or time · 5 damage found.";

pub const REINSTATE: &str = "\
Examples:
  holdfast reinstate SecurityEvent 2024-03-01
  holdfast reinstate cde/SecurityEvent 2024-03-01

It is not retired again without an approval. To keep it for good, lengthen its rule.

Exit codes: 0 put back · 1 failed · 2 nothing of that day is retired · 5 damage found · 75 another run holds the lease.";

pub const ADOPT: &str = "\
Examples:
  holdfast verify                    names the commits that are not ours
  holdfast adopt SecurityEvent --reason \"OPTIMIZE by the data team, ticket 4712\"

Until then nothing is destroyed in that table.

Exit codes: 0 adopted · 1 failed · 2 every commit is ours · 4 it cannot be taken over as it is · 5 damage found · 75 \
another run holds the lease.";

pub const RUN: &str = "\
Examples:
  holdfast run
  holdfast run --table SecurityEvent
  holdfast run --format json > report.json

Safe to kill at any instant: the next run settles what is open. Nothing is deleted unless the settings arm it.

Exit codes: 0 done · 1 failed · 2 usage · 3 done, some objects failed · 4 needs a decision · 5 damage found · 75 another \
run holds the lease.";

pub const SCHEDULE: &str = "\
Examples:
  holdfast check                     shows when each line fires next
  holdfast schedule --log-format json

Runs until SIGTERM or SIGINT, then ends after the step it is in; a second signal ends it at once, which is safe. A run \
that fails is told on stderr and in the metrics, and the schedule goes on. What was missed is caught up once.

Exit codes: 0 it was asked to end · 1 it could not start · 2 the settings name no schedule, or are invalid.";

pub const TABLES: &str = "\
Examples:
  holdfast tables
  holdfast tables --format json | jq -r '.tables[] | select(.rule == null) | .table'      tables without a rule

Rows, bytes and days are those of the archive; what lies raw or in quarantine is told apart.

Exit codes: 0 shown · 1 failed · 2 usage · 3 something could not be read, and it says what.";

pub const SCHEMA: &str = "\
Examples:
  holdfast schema SecurityEvent
  holdfast schema cde/securityevent --format json

Reads the footers of the table's segments, not their rows.

Exit codes: 0 shown · 1 failed · 2 there is no such table · 3 some footers could not be read.";

pub const REPORT: &str = "\
Examples:
  holdfast report
  holdfast report --format html --output report.html
  holdfast report --format json | jq '.tables[] | {table, missing_days}'
  holdfast report --hours-for 90d      hours without a record, looked for in the newest 90 days

The page is one file that loads nothing from elsewhere, good on screen and in print.

Exit codes: 0 shown · 1 failed · 2 usage · 3 something could not be read, and the report says what.";

pub const SEARCH: &str = "\
Examples:
  holdfast search \"SELECT Account, count(*) FROM SecurityEvent WHERE EventID = 4625 AND TimeGenerated >= '2024-03-01' GROUP BY 1\"
  holdfast search \"SELECT * FROM SigninLogs WHERE UserPrincipalName ILIKE '%alice%' ORDER BY TimeGenerated DESC\" --limit 20
  holdfast search \"SELECT LocationDetails ->> 'city' AS city, count(*) FROM SigninLogs GROUP BY 1\" --output cities.csv
  holdfast search \"SELECT count(*) FROM SecurityEvent\" --explain      what it would read
  holdfast search - --include-raw --format json < query.sql

Names may be written in any case, texts stand between single quotes, `workspace.Table` tells two tables of one name apart. \
Every answer ends with what it was made from and what it did not see: on stderr, for --format json as a last line. In JSON a \
null is left out where every column was asked for (`*`). Each search is recorded in the access log before anything is read.

Exit codes: 0 answered · 1 failed, could not be recorded, was cut short by --timeout or Ctrl-C, or is less than --strict \
or more than --max-scan allows · 2 the query is wrong · 5 damage found.";

pub const RESTORE: &str = "\
Examples:
  holdfast restore --table SecurityEvent --from 2024-03-01 --to 2024-03-31 --output march.ndjson.gz
  holdfast restore --table SecurityEvent --output restored/ --compress zstd      one file a day
  cd restored && sha256sum -c SHA256SUMS
  holdfast restore --table SecurityEvent --from 2024-03-01 --where \"EventID = 4625 AND Account ILIKE '%admin%'\"
  holdfast restore --table SecurityEvent | jq .EventID

A date as --to includes that day; an instant excludes itself. Beside the file stand a manifest of what it came from and \
what it lacks, and a list for sha256sum. Each restore is recorded in the access log before anything is read.

Exit codes: 0 restored · 1 failed, or it could not be recorded · 2 usage · 5 damaged segments are left out.";

pub const VERIFY: &str = "\
Examples:
  holdfast verify
  holdfast verify --format json | jq '.access[].head'      the heads of the access log, to be kept elsewhere

Reads the whole archive and changes nothing; may run at any time.

Exit codes: 0 no damage · 1 failed · 2 usage · 4 somebody else wrote to a table · 5 damage found.";

pub const WHY: &str = "\
Examples:
  holdfast why SecurityEvent 2024-03-05
  holdfast why collector:SecurityEvent/2024/03/05/14/a.json
  holdfast why SecurityEvent 2024-03-05 --certificate > certificate.txt

Exit codes: 0 told · 1 failed · 2 there is no such thing · 4 with --certificate: nothing of that day was destroyed · 5 \
damage found.";

pub const STATUS: &str = "\
Examples:
  holdfast status
  holdfast status --format json | jq .attention
  holdfast status --as-of 2026-12-31

Reads only, and works while a run is under way.

Exit codes: 0 fine · 1 the last run failed, never ended, or is too long ago · 2 usage · 3 it left objects undone · 4 a \
decision waits · 5 damage found.";

pub const ACCESS: &str = "\
Examples:
  holdfast access list --last 20
  holdfast access show web-1-alice 12

Every search and restore is recorded before anything is read.

Exit codes: 0 told · 1 failed · 2 usage · 5 entries are missing or damaged.";

pub const ACCESS_LIST: &str = "\
Examples:
  holdfast access list
  holdfast access list --last 20 --writer web-1-alice
  holdfast access list --format json | jq -r '.[] | select(.what == \"restore\") | .text.is'

Names are what the askers said: nobody proved them.

Exit codes: 0 told · 1 failed · 2 there is no such writer · 5 entries are missing or damaged.";

pub const ACCESS_SHOW: &str = "\
Examples:
  holdfast access show web-1-alice 12
  holdfast access show web-1-alice 12 --format json

Exit codes: 0 told · 1 failed · 2 there is no such entry · 5 it is damaged.";

pub const LEDGER: &str = "\
Examples:
  holdfast ledger list --last 20
  holdfast ledger show 42
  holdfast ledger verify

Exit codes: 0 told · 1 failed · 2 usage · 5 damage found.";

pub const LEDGER_LIST: &str = "\
Examples:
  holdfast ledger list
  holdfast ledger list --last 20
  holdfast ledger list --format json | jq '.[] | select(.kind == \"approved\")'

Exit codes: 0 told · 1 failed · 2 usage · 5 damage found.";

pub const LEDGER_SHOW: &str = "\
Examples:
  holdfast ledger show 42
  holdfast ledger show 42 | jq .entry

Exit codes: 0 told · 1 failed · 2 there is no such entry · 5 damage found.";

pub const LEDGER_VERIFY: &str = "\
Examples:
  holdfast ledger verify
  holdfast ledger verify --format json

Quick, since it reads no segments; `holdfast verify` reads everything.

Exit codes: 0 no damage · 1 failed · 2 usage · 5 damage found.";

pub const QUARANTINE: &str = "\
Examples:
  holdfast quarantine list
  holdfast quarantine show f092c088ed28-9/0
  holdfast quarantine retry --table SecurityEvent

Exit codes: 0 done · 1 failed · 2 usage · 5 damage found.";

pub const QUARANTINE_LIST: &str = "\
Examples:
  holdfast quarantine list
  holdfast quarantine list --table SecurityEvent

Exit codes: 0 told · 1 failed · 2 usage · 5 damage found.";

pub const QUARANTINE_SHOW: &str = "\
Examples:
  holdfast quarantine show f092c088ed28-9/0
  holdfast quarantine show f092c088ed28-9/0 > record.bin

Exit codes: 0 printed · 1 failed · 2 there is no such item · 5 damage found.";

pub const QUARANTINE_RETRY: &str = "\
Examples:
  holdfast quarantine retry
  holdfast quarantine retry --table SecurityEvent

After a better rule: another time_column, a wider late_window, more memory. What still cannot be judged stays.

Exit codes: 0 done · 1 failed · 2 usage · 3 done, some objects failed · 4 needs a decision · 5 damage found · 75 another \
run holds the lease.";

pub const SOURCE: &str = "\
Examples:
  holdfast source detect /var/log/landing
  holdfast source detect s3://logs/landing

Exit codes: 0 proposed · 1 failed · 2 usage, or no known layout fits.";

pub const SOURCE_DETECT: &str = "\
Examples:
  holdfast source detect /var/log/landing
  holdfast source detect s3://logs/landing > proposal.toml
  holdfast source detect az://insights-logs --format json

Lists what is there, reads the first bytes of an object of each table, and writes nothing. Of an object store, region, \
endpoint and credentials come from the environment. What it proposes keeps all for ever: say how long in `retain`.

Exit codes: 0 proposed · 1 failed · 2 usage, or no known layout fits.";

pub const POLICY: &str = "\
Examples:
  holdfast policy diff main:policies policies --inventory inventory.json
  holdfast policy import tables.json --output policies/azure.toml
  holdfast policy export --subscription ID --resource-group GROUP --workspace NAME

None of them needs the archive; `holdfast check` shows the rules as they are.

Exit codes: 0 done · 1 a policy is invalid · 2 usage · for diff, 10 only longer, 11 something shorter.";

pub const POLICY_DIFF: &str = "\
Examples:
  holdfast policy diff main:policies policies --inventory inventory.json
  holdfast policy diff HEAD~1 HEAD --inventory inventory.json --format markdown

Each of OLD and NEW is a folder, a policy file, or a git revision (`REV:PATH`, or `REV` alone for its folder of \
policies); a path that exists wins. The inventory is what the archive's last run wrote beside its ledger.

Exit codes: 0 nothing · 10 only longer · 11 something shorter · 1 a policy is invalid · 2 usage.";

pub const POLICY_IMPORT: &str = "\
Examples:
  az monitor log-analytics workspace table list -g GROUP --workspace-name NAME > tables.json
  holdfast policy import tables.json --output policies/azure.toml

Reads the Tables API's JSON (a table, a list, `az … table list`) and requests as Azure's documentation prints them \
(`PUT /subscriptions/…/tables/SecurityEvent?api-version=… {\"properties\": {\"retentionInDays\": 730}}`).

Exit codes: 0 written · 1 the file says what no policy can · 2 usage.";

pub const POLICY_EXPORT: &str = "\
Examples:
  holdfast policy export --subscription ID --resource-group GROUP --workspace NAME
  holdfast policy export policies/security.toml --table SecurityEvent --method patch

PUT sets what a request leaves out to Azure's default; PATCH keeps it. A rule that Azure cannot express is an error.

Exit codes: 0 printed · 1 a policy is invalid, or Azure cannot express it · 2 usage.";

pub const DEMO: &str = "\
Examples:
  holdfast demo
  holdfast demo --dir /tmp/holdfast-demo

Makes a folder with sample logs, settings, policies and an archive, runs everything on it, and says how to look around. \
Touches nothing else.

Exit codes: 0 all went as promised · 1 failed · 2 the folder is there already · 5 damage found.";

pub const MAN: &str = "\
Examples:
  holdfast man | man -l -                                the page of holdfast itself
  holdfast man --dir ~/.local/share/man/man1             one page a command: man holdfast-run
  holdfast man --format markdown > CLI.md                all of them as one Markdown page

Exit codes: 0 written · 1 failed · 2 usage.";

pub const COMPLETIONS: &str = "\
Examples:
  holdfast completions bash > ~/.local/share/bash-completion/completions/holdfast
  holdfast completions zsh > ~/.zfunc/_holdfast
  holdfast completions fish > ~/.config/fish/completions/holdfast.fish

Exit codes: 0 printed · 2 usage.";
