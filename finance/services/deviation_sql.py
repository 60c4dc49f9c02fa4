"""The SQL that adds up deviations as lines are judged: small differences by month, and fees off by one rate.

Sums follow the lines of this run: what a line gained is added; a sum that lost anything is added up anew from its own
rows. So the work follows what changed, however many lines deviate.
"""

from __future__ import annotations

from typing import Final

#: What the lines at hand were added up in until now.
BEFORE: Final = """
CREATE TEMP TABLE summed_before ON COMMIT DROP AS
SELECT r.line_id, r.event, r.kind, r.sum_key, r.expected, r.actual, r.difference
FROM line_facts AS f
JOIN finance_linereconciliation AS r ON r.client_id = %(client)s AND r.line_id = f.line_id
WHERE r.sum_key <> '' AND NOT %(full)s
"""

_SAME: Final = """(x.line_id, x.event, x.kind, x.sum_key) = (y.line_id, y.event, y.kind, y.sum_key)
      AND (x.expected, x.actual, x.difference) IS NOT DISTINCT FROM (y.expected, y.actual, y.difference)"""

LOST: Final = f"""
CREATE TEMP TABLE sums_lost ON COMMIT DROP AS
SELECT DISTINCT x.sum_key FROM summed_before AS x WHERE NOT EXISTS (SELECT 1 FROM judged AS y WHERE {_SAME})
"""

TOUCHED: Final = """
CREATE TEMP TABLE touched_sums (key text, is_flipped boolean NOT NULL DEFAULT false) ON COMMIT DROP
"""

#: A fee and the tax on it are one deviation of one line, which is counted once.
_IS_TAX: Final = "(x.kind IN ('referral_fee_tax', 'other_fee_tax') AND x.sum_key LIKE 'run|%%')"
_KIND: Final = "CASE WHEN x.sum_key LIKE 'run|%%' THEN split_part(x.sum_key, '|', 6) ELSE min(x.kind) END AS kind"
_SUMS: Final = f"""
    count(*) FILTER (WHERE NOT {_IS_TAX}) AS line_count,
    coalesce(sum(sign(x.difference)) FILTER (WHERE NOT {_IS_TAX}), 0) AS signs,
    sum(x.expected) AS expected, sum(x.actual) AS actual, sum(x.difference) AS difference"""
_COLUMNS: Final = (
    "client_id, key, family, run_key, group_key, account_id, site, kind, event, currency, first_on, line_count, signs,"
    " expected, actual, difference, is_run"
)
#: From `added` with the sums to rows of the table: a run's key is what follows account and currency.
_ROWS: Final = f"""
INSERT INTO finance_deviationsum AS t ({_COLUMNS})
SELECT %(client)s, a.sum_key, k.family, k.run_key,
       CASE k.family WHEN 'run' THEN regexp_replace(k.run_key, '[|][^|]*$', '')
                     ELSE concat_ws('|', 'rounding', a.site, a.kind, a.event, k.first_on) END,
       a.account_id, a.site, a.kind, a.event, a.currency, k.first_on, a.line_count, a.signs, a.expected, a.actual,
       a.difference, false
FROM added AS a
CROSS JOIN LATERAL (
    SELECT split_part(a.sum_key, '|', 1) AS family,
           CASE WHEN a.sum_key LIKE 'run|%%'
                THEN substr(a.sum_key, length(concat_ws('|', 'run', a.account_id, a.currency)) + 2) ELSE '' END
               AS run_key,
           CASE WHEN a.sum_key LIKE 'run|%%' THEN a.first_on
                ELSE date_trunc('month', a.first_on)::date END AS first_on
) AS k
ORDER BY a.sum_key
ON CONFLICT (client_id, key) DO UPDATE"""

#: Add what is new to sums that have lost nothing.
ADD: Final = f"""
WITH added AS (
    SELECT x.sum_key, f.account_id, f.site, {_KIND}, x.event, x.currency, min(f.ordered_on) AS first_on, {_SUMS}
    FROM judged AS x JOIN line_facts AS f USING (line_id)
    WHERE x.sum_key <> '' AND NOT %(full)s AND x.sum_key NOT IN (SELECT sum_key FROM sums_lost)
      AND NOT EXISTS (SELECT 1 FROM summed_before AS y WHERE {_SAME})
    GROUP BY x.sum_key, f.account_id, f.site, x.event, x.currency
),
done AS ({_ROWS} SET
    line_count = t.line_count + excluded.line_count, signs = t.signs + excluded.signs,
    expected = coalesce(t.expected + excluded.expected, t.expected, excluded.expected),
    actual = coalesce(t.actual + excluded.actual, t.actual, excluded.actual),
    difference = t.difference + excluded.difference, first_on = least(t.first_on, excluded.first_on)
    RETURNING key
)
INSERT INTO touched_sums (key) SELECT key FROM done
"""

#: Add up anew the sums that lost something; all of them in a full run. One without rows stays as 0 until `EMPTY`.
REBUILD: Final = f"""
WITH added AS (
    SELECT x.sum_key, o.account_id, site.code AS site, {_KIND}, x.event, x.currency, min(o.ordered_on) AS first_on,
           {_SUMS}
    FROM finance_linereconciliation AS x
    JOIN orders_orderline AS l ON l.client_id = %(client)s AND l.id = x.line_id
    JOIN orders_order AS o ON o.client_id = %(client)s AND o.id = l.order_id
    JOIN marketplaces_site AS site ON site.id = o.site_id
    WHERE x.client_id = %(client)s AND x.sum_key <> ''
      AND (%(full)s OR x.sum_key IN (SELECT sum_key FROM sums_lost))
    GROUP BY x.sum_key, o.account_id, site.code, x.event, x.currency
),
done AS ({_ROWS} SET
    line_count = excluded.line_count, signs = excluded.signs, expected = excluded.expected, actual = excluded.actual,
    difference = excluded.difference, first_on = excluded.first_on
    WHERE (t.line_count, t.signs, t.expected, t.actual, t.difference, t.first_on) IS DISTINCT FROM
          (excluded.line_count, excluded.signs, excluded.expected, excluded.actual, excluded.difference,
           excluded.first_on)
),
emptied AS (
    UPDATE finance_deviationsum AS s
    SET line_count = 0, signs = 0, expected = NULL, actual = NULL, difference = 0
    WHERE s.client_id = %(client)s AND s.line_count > 0
      AND (%(full)s OR s.key IN (SELECT sum_key FROM sums_lost)) AND s.key NOT IN (SELECT sum_key FROM added)
),
touched AS (
    SELECT sum_key AS key FROM added
    UNION SELECT key FROM finance_deviationsum
    WHERE client_id = %(client)s AND (%(full)s OR key IN (SELECT sum_key FROM sums_lost))
)
INSERT INTO touched_sums (key) SELECT key FROM touched
"""

#: Runs among the touched sums that have become long enough, or too short, to be one finding.
FLIP: Final = """
WITH counted AS (
    SELECT run_key, sum(line_count) >= %(run)s AS is_run FROM finance_deviationsum
    WHERE client_id = %(client)s AND family = 'run' AND run_key IN (
        SELECT s.run_key FROM touched_sums AS x
        JOIN finance_deviationsum AS s ON s.client_id = %(client)s AND s.key = x.key WHERE s.family = 'run')
    GROUP BY run_key
),
flipped AS (
    UPDATE finance_deviationsum AS s SET is_run = c.is_run
    FROM counted AS c
    WHERE s.client_id = %(client)s AND s.family = 'run' AND s.run_key = c.run_key AND s.is_run <> c.is_run
    RETURNING s.key
)
INSERT INTO touched_sums (key, is_flipped) SELECT key, true FROM flipped
"""

_REGROUP: Final = """
changed AS (
    UPDATE finance_linereconciliation AS r
    SET cause = n.cause, group_key = n.group_key
    FROM asked AS a
    CROSS JOIN LATERAL (
        SELECT CASE WHEN a.is_run THEN 'rate_changed'
                    WHEN a.key LIKE '%%|-1' THEN 'fee_overcharged' ELSE 'fee_undercharged' END AS cause,
               CASE WHEN a.is_run THEN a.run ELSE '' END AS group_key
    ) AS n
    WHERE r.client_id = %(client)s AND r.id = a.id AND (r.cause, r.group_key) <> (n.cause, n.group_key)
    RETURNING r.line_id
)
INSERT INTO touched_lines SELECT line_id FROM changed
"""

#: Tell all lines of the runs that have flipped.
REGROUP_FLIPPED: Final = f"""
WITH asked AS (
    SELECT r.id, s.key, s.is_run, s.group_key AS run
    FROM (SELECT DISTINCT key FROM touched_sums WHERE is_flipped) AS x
    JOIN finance_deviationsum AS s ON s.client_id = %(client)s AND s.key = x.key
    JOIN finance_linereconciliation AS r ON r.client_id = %(client)s AND r.sum_key = x.key
),
{_REGROUP}"""

#: Tell the lines judged now which run they are in, if any.
REGROUP: Final = f"""
WITH asked AS (
    SELECT r.id, s.key, s.is_run, s.group_key AS run
    FROM judged AS j
    JOIN finance_deviationsum AS s ON s.client_id = %(client)s AND s.key = j.sum_key
    JOIN finance_linereconciliation AS r
      ON r.client_id = %(client)s AND (r.line_id, r.event, r.kind) = (j.line_id, j.event, j.kind)
    WHERE j.sum_key <> '' AND s.family = 'run'
),
{_REGROUP}"""

#: By what the findings of the touched sums are known.
FINGERPRINTS: Final = """
CREATE TEMP TABLE sum_findings ON COMMIT DROP AS
SELECT DISTINCT s.family, s.account_id, s.group_key, s.key,
       encode(sha256(convert_to(CASE s.family
           WHEN 'run' THEN concat_ws('|', 'group', s.account_id, s.group_key)
           ELSE concat_ws('|', 'month', s.account_id, s.site, s.kind, s.event, s.first_on) END, 'UTF8')), 'hex')
           AS fingerprint
FROM (SELECT DISTINCT key FROM touched_sums) AS x
JOIN finance_deviationsum AS s ON s.client_id = %(client)s AND s.key = x.key
"""

#: One finding for all lines that deviate by the same rate.
OF_RUNS: Final = """
INSERT INTO found
SELECT s.account_id, 'rate_changed', s.kind, s.event, x.fingerprint, s.group_key, s.site, NULL, NULL, NULL, '', '', '',
       sum(s.expected), sum(s.actual), sum(s.difference), s.currency, min(s.first_on), sum(s.line_count)::text
FROM (SELECT DISTINCT account_id, group_key, fingerprint FROM sum_findings WHERE family = 'run') AS x
JOIN finance_deviationsum AS s
  ON s.client_id = %(client)s AND s.family = 'run' AND s.account_id = x.account_id AND s.group_key = x.group_key
 AND s.run_key IN (x.group_key || '|1', x.group_key || '|-1')
WHERE s.is_run AND s.line_count > 0
GROUP BY s.account_id, s.kind, s.event, x.fingerprint, s.group_key, s.site, s.currency
"""

#: Small differences that all go one way: more than so many lines of a month, or more than so much money.
OF_MONTHS: Final = """
INSERT INTO found
SELECT s.account_id, 'rounding', s.kind, s.event, x.fingerprint, s.group_key, s.site, NULL, NULL, NULL, '', '', '',
       s.expected, s.actual, s.difference, s.currency, s.first_on, s.line_count::text
FROM sum_findings AS x
JOIN finance_deviationsum AS s ON s.client_id = %(client)s AND s.key = x.key
LEFT JOIN unnest(%(limit_currencies)s::text[], %(limit_amounts)s::numeric[]) AS l(currency, amount)
  ON l.currency = s.currency
WHERE s.family = 'month'
  AND ((abs(s.signs) > %(one_sided_lines)s AND abs(s.signs) >= s.line_count * 0.8)
       OR abs(s.difference) > l.amount)
"""

EMPTY: Final = """
DELETE FROM finance_deviationsum AS s USING sum_findings AS x
WHERE s.client_id = %(client)s AND s.key = x.key AND s.line_count = 0
"""
