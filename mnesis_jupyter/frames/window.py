"""The window in SQL: the one place that says which rows of the store make up a window, and in which order."""

# Preamble, then what stands in the view. A message has an item for each text, call, result, file and image, as they are
# sent: results follow when all the calls between two texts are told. A tombstone takes the place of a text, a result or
# an image. The current window is that of the newest view.
WINDOW_ITEMS = """
    WITH target AS (
        SELECT h.id AS session_id, coalesce(t.system_prompt, h.system_prompt) AS system_prompt,
            coalesce(t.system_tokens, h.system_tokens) - coalesce(o.tokens, 0) AS system_tokens,
            o.specs, o.tokens AS tools_tokens,
            coalesce(t.view, (SELECT max(version) FROM view v WHERE v.session_id = s.id), -1) AS view
        FROM session s
            LEFT JOIN turn t ON t.id = (SELECT id FROM branch_turn WHERE branch_id = :session AND idx = :turn)
            JOIN session h ON h.id = coalesce(t.session_id, s.id)
            LEFT JOIN tool_set o ON o.hash = t.tools
        WHERE s.id = :session
    ), alive AS (
        SELECT c.session_id, c.pos, c.kind, c.ref, c.tokens, c.born_view, target.view
        FROM target JOIN context_item c ON c.session_id = target.session_id
            AND c.pos > :after
            AND c.born_view <= target.view AND (c.died_view IS NULL OR c.died_view > target.view)
    ), said AS (
        SELECT a.pos, a.born_view, m.id AS message_id, m.role, m.turn, p.id AS part_id, p.idx, p.type, p.data,
            p.text, p.tokens, p.output_tokens, d.kind AS stand_in, d.text AS stand_in_text, d.tokens AS stand_in_tokens,
            sum(p.type = 'text') OVER (PARTITION BY m.id ORDER BY p.idx) AS texts,
            sum(p.type = 'text' AND p.text <> '') OVER (PARTITION BY m.id ORDER BY p.idx) AS spoken
        FROM alive a JOIN message m ON a.kind = 'message' AND m.id = a.ref JOIN part p ON p.message_id = m.id
        LEFT JOIN tombstone d ON d.session_id = a.session_id AND d.part_id = p.id AND d.born_view = (
            SELECT max(born_view) FROM tombstone
            WHERE session_id = a.session_id AND part_id = p.id AND born_view <= a.view)
    ), item AS (
        SELECT -2 AS pos, 0 AS texts, 0 AS result, 0 AS idx, 'system' AS kind, 'system' AS id, NULL AS turn,
            system_tokens AS tokens, system_prompt AS text, NULL AS stand_in, NULL AS born_view, NULL AS first_turn,
            NULL AS tool_name
        FROM target WHERE system_prompt <> ''
        UNION ALL
        SELECT -1, 0, 0, 0, 'tools', 'tools', NULL, tools_tokens, specs, NULL, NULL, NULL, NULL FROM target
        WHERE specs <> ''
        UNION ALL
        SELECT a.pos, 0, 0, 0, 'summary', s.id, s.last_turn, a.tokens, s.text, NULL, a.born_view, s.first_turn, NULL
        FROM alive a JOIN summary s ON a.kind = 'summary' AND s.id = a.ref
        UNION ALL
        SELECT pos, texts, 0, idx, CASE WHEN role = 'user' THEN 'user' ELSE 'assistant' END,
            CASE spoken WHEN 1 THEN message_id ELSE part_id END, turn, coalesce(stand_in_tokens, tokens),
            coalesce(stand_in_text, text), stand_in, born_view, turn, NULL
        FROM said WHERE type = 'text' AND text <> ''
        UNION ALL
        SELECT pos, texts, 0, idx, 'tool', part_id, turn, tokens, coalesce(data -> '$.input', '{}'), NULL, born_view,
            turn, data ->> '$.tool_name'
        FROM said WHERE type = 'tool' AND role <> 'tool'
        UNION ALL
        SELECT pos, texts, 1, idx, 'tool', part_id, turn, coalesce(stand_in_tokens, output_tokens),
            coalesce(stand_in_text, data ->> '$.error_message', data ->> '$.output', ''), stand_in, born_view,
            turn, data ->> '$.tool_name'
        FROM said WHERE type = 'tool' AND data ->> '$.status' IN ('completed', 'error')
        UNION ALL
        SELECT pos, texts, 0, idx, 'file', part_id, turn, coalesce(stand_in_tokens, tokens),
            coalesce(stand_in_text, data ->> '$.path'), stand_in, born_view, turn, NULL
        FROM said WHERE type = 'file_ref'
        UNION ALL
        SELECT pos, texts, 0, idx, 'media', part_id, turn, coalesce(stand_in_tokens, tokens),
            coalesce(stand_in_text, (data ->> '$.media_type') || coalesce(' · ' || (data ->> '$.name'), '')
                || coalesce(' · ' || (data ->> '$.url'), '')),
            stand_in, born_view, turn, NULL
        FROM said WHERE type = 'media'
    )
"""
"""`item`: `:session`, `:turn` (`NULL`: now), and only what stands behind position `:after` (-1: everything)."""
