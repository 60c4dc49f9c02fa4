"""The database functions behind the walls: the audit trigger, and what only the owner of a table may do.

All are SECURITY DEFINER with a fixed search path, and check the name they are given against the catalog. Dropping is
for ops alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from django.db.backends.utils import CursorWrapper

CLIENTS: Final = (
    "(SELECT string_to_array(nullif(current_setting('domventas.clients', true), ''), ',')::bigint[])::bigint[]"
)
#: May be read. The sub-select is evaluated once per query, not once per row.
MINE: Final = f"client_id = ANY ({CLIENTS})"
#: May be written: only while acting for exactly one; "3,4" is no number and gives null.
ONE: Final = "client_id = (SELECT substring(current_setting('domventas.clients', true) FROM '^[0-9]+$')::bigint)"


@dataclass(frozen=True, slots=True)
class _Function:
    name: str
    arguments: str
    returns: str
    owner: str
    may: str
    body: str

    @property
    def signature(self) -> str:
        return f"{self.name}({self.arguments})"


# Owned by ops, which no wall stops: the trigger must see the row of whichever client it belongs to.
AUDIT: Final = _Function(
    "core_audit", "", "trigger", "ops", "",
    """
DECLARE
  old_row jsonb := CASE WHEN TG_OP = 'INSERT' THEN NULL ELSE to_jsonb(OLD) END;
  new_row jsonb := CASE WHEN TG_OP = 'DELETE' THEN NULL ELSE to_jsonb(NEW) END;
  today date := (now() AT TIME ZONE 'UTC')::date;
BEGIN
  FOR i IN 0 .. TG_NARGS - 1 LOOP
    CONTINUE WHEN TG_ARGV[i] LIKE 'only %';  -- tells sync_walls what the trigger's condition is
    old_row := core_fingerprint(old_row, TG_ARGV[i]);
    new_row := core_fingerprint(new_row, TG_ARGV[i]);
  END LOOP;
  PERFORM core_make_partition('core_auditentry', today);
  INSERT INTO core_auditentry (client_id, day, "table", "row", before, after, actor, request, salt)
  VALUES ((coalesce(new_row, old_row) ->> 'client_id')::bigint, today, TG_TABLE_NAME,
          (coalesce(new_row, old_row) ->> 'id')::bigint, old_row, new_row,
          coalesce(current_setting('domventas.actor', true), ''),
          coalesce(current_setting('domventas.request', true), ''),
          replace(gen_random_uuid()::text, '-', ''));
  RETURN NULL;
END
""",
)  # fmt: skip

# ATTACH takes a weaker lock on the parent than CREATE … PARTITION OF: readers and writers go on meanwhile.
_QUOTED_MINE: Final = MINE.replace("'", "''")
_QUOTED_ONE: Final = ONE.replace("'", "''")
MAKE_PARTITION: Final = _Function(
    "core_make_partition", "parent text, month date", "boolean", "owner", "app, ops",
    f"""
DECLARE
  first date := date_trunc('month', month)::date;
  child text := parent || to_char(first, '"_y"YYYY"m"MM');
  part_column text;
BEGIN
  IF to_regclass(format('public.%I', child)) IS NOT NULL THEN
    RETURN false;
  END IF;
  SELECT a.attname INTO part_column FROM pg_class c JOIN pg_partitioned_table p ON p.partrelid = c.oid
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = p.partattrs[0]
    WHERE c.relnamespace = 'public'::regnamespace AND c.relname = parent AND c.relforcerowsecurity;
  IF part_column IS NULL THEN
    RAISE EXCEPTION '% is not a walled table partitioned by month', parent;
  END IF;
  PERFORM pg_advisory_xact_lock(hashtextextended(child, 0));
  -- Not to_regclass again: it remembers that there was none, and waiting for this lock tells it of nothing new.
  IF EXISTS (SELECT FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relname = child) THEN
    RETURN false;
  END IF;
  EXECUTE format('CREATE TABLE public.%I (LIKE public.%I INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', child, parent);
  EXECUTE format('REVOKE ALL ON public.%I FROM app', child);
  EXECUTE format('ALTER TABLE public.%I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', child);
  EXECUTE format('CREATE POLICY wall_client ON public.%I USING ({_QUOTED_MINE})'
                 ' WITH CHECK ({_QUOTED_ONE})', child);
  EXECUTE format('CREATE POLICY wall_owner ON public.%I TO owner USING (true) WITH CHECK (true)', child);
  EXECUTE format('ALTER TABLE public.%I ATTACH PARTITION public.%I FOR VALUES FROM (%L) TO (%L)',
                 parent, child, first, (first + interval '1 month')::date);
  RETURN true;
END
""",
)  # fmt: skip

# Retention: a month goes as a whole, in a moment, and leaves no dead rows.
DROP_PARTITION: Final = _Function(
    "core_drop_partition", "parent text, month date", "boolean", "owner", "ops",
    """
DECLARE
  child text := parent || to_char(date_trunc('month', month), '"_y"YYYY"m"MM');
BEGIN
  IF NOT EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = to_regclass(format('public.%I', child))
                 AND i.inhparent = to_regclass(format('public.%I', parent))) THEN
    RETURN false;
  END IF;
  EXECUTE format('DROP TABLE public.%I', child);
  RETURN true;
END
""",
)  # fmt: skip

# Whoever finds it being counted already goes on: waiting for another's transaction would be an error after 3 s.
ANALYZE: Final = _Function(
    "core_analyze", "name text", "void", "owner", "app, ops",
    """
BEGIN
  IF NOT EXISTS (SELECT FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relname = name
                 AND relkind IN ('r', 'p') AND relforcerowsecurity) THEN
    RAISE EXCEPTION '% is not a walled table', name;
  END IF;
  EXECUTE format('ANALYZE (SKIP_LOCKED) public.%I', name);
END
""",
)  # fmt: skip

FINGERPRINT: Final = _Function(
    "core_fingerprint", "line jsonb, secret text", "jsonb", "owner", "ops",
    """
BEGIN
  IF line ->> secret IS NULL THEN
    RETURN line;
  END IF;
  RETURN line || jsonb_build_object(
    secret, 'sha256:' || left(encode(sha256(convert_to(line ->> secret, 'UTF8')), 'hex'), 12));
END
""",
)  # fmt: skip

# Takes values out of one entry of the acting client. `marks` are the hashes that keep the seals whole; who passes wrong
# ones breaks the chain, and the entry about it is written in any case, so nothing goes unseen.
REDACT_AUDIT: Final = _Function(
    "core_redact_audit", "entry bigint, on_day date, fields text[], marks jsonb, why text", "boolean", "ops", "app",
    """
DECLARE
  mine bigint := substring(current_setting('domventas.clients', true) FROM '^[0-9]+$')::bigint;
  today date := (now() AT TIME ZONE 'UTC')::date;
  line core_auditentry;
  place text[];
BEGIN
  IF mine IS NULL THEN
    RAISE EXCEPTION 'acting for exactly one client is needed';
  END IF;
  SELECT * INTO line FROM core_auditentry WHERE id = entry AND day = on_day AND client_id = mine FOR UPDATE;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  FOR i IN 1 .. cardinality(fields) LOOP
    place := ARRAY[substr(fields[i], strpos(fields[i], '.') + 1)];
    IF fields[i] LIKE 'before.%' THEN
      line.before := jsonb_set(line.before, place, '"‹erased›"', false);
    ELSE
      line.after := jsonb_set(line.after, place, '"‹erased›"', false);
    END IF;
  END LOOP;
  UPDATE core_auditentry SET before = line.before, after = line.after, salt = '', redaction = marks
    WHERE id = entry AND day = on_day AND client_id = mine;
  PERFORM core_make_partition('core_auditentry', today);
  INSERT INTO core_auditentry (client_id, day, "table", "row", after, actor, request, salt)
  VALUES (mine, today, 'core_auditentry', entry, jsonb_build_object('erased', to_jsonb(fields), 'reason', why),
          coalesce(current_setting('domventas.actor', true), ''),
          coalesce(current_setting('domventas.request', true), ''),
          replace(gen_random_uuid()::text, '-', ''));
  RETURN true;
END
""",
)  # fmt: skip

#: In the order of their making: the audit calls the others.
FUNCTIONS: Final = (MAKE_PARTITION, DROP_PARTITION, ANALYZE, FINGERPRINT, AUDIT, REDACT_AUDIT)


def differences(cursor: CursorWrapper) -> Iterator[str]:
    """The statements that bring the functions in line with this module."""
    cursor.execute(
        "SELECT proname, prosrc, pg_get_userbyid(proowner) FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
    )
    have = {name: (body, owner) for name, body, owner in cursor.fetchall()}
    for function in FUNCTIONS:
        if have.get(function.name) == (function.body, function.owner):
            continue
        if function.name in have:
            # An older owner's function cannot be replaced by its members alone; triggers go with it and come again.
            yield f"DROP FUNCTION IF EXISTS {function.name} CASCADE"
        yield (
            f"CREATE FUNCTION {function.signature} RETURNS {function.returns} LANGUAGE plpgsql SECURITY DEFINER"
            f" SET search_path = pg_catalog, public, pg_temp AS $wall${function.body}$wall$"
        )
        yield f"REVOKE ALL ON FUNCTION {function.name} FROM public"
        if function.may:
            yield f"GRANT EXECUTE ON FUNCTION {function.name} TO {function.may}"
        if function.owner != "owner":
            yield f"ALTER FUNCTION {function.name} OWNER TO {function.owner}"
