"""What the commands that ask, note, take out and bring in say, in Chinese."""

from typing import Final

CHINESE_QUESTIONS: Final[dict[str, str]] = {
    "help.list": """列出执行，最新的在前。

\b
示例：
  execution-history list
  execution-history list 7000000000000000002 --page 2
  execution-history list --status failed --since 2h
  execution-history list --where 'input.city = "北京"' --sort duration
  execution-history list --json | jq -r '.histories[].execute_id'
""",
    "help.search": """搜索执行中的文字：输入、输出、错误、节点说的话、备注和标签。

词语在其他词语内部也能找到；"引号" 让词语保持在一起，* 表示前缀，- 表示排除。没有写完的文字（引号没有结束，
减号后面没有词语）会被拒绝。

\b
示例：
  execution-history search 超时
  execution-history search '"out of memory" -retry' --since 7d
  execution-history search 北京 --status success --json
""",
    "help.follow": """随着发生，实时说出历史中的变化，直到 Ctrl-C。

\b
示例：
  execution-history follow
  execution-history follow 7000000000000000002 --json | jq -r .summary.execute_status
  execution-history follow --since 0 --json
""",
    "help.stats": """按时间统计执行：成功率、耗时、Token、错误码、相似的失败。

\b
示例：
  execution-history stats
  execution-history stats 7000000000000000002 --by hour --since 1d
  execution-history stats --json | jq .totals
""",
    "help.diff": """显示两次执行的差别；只给一次执行时，与同一工作流在它之前最近一次成功的执行比较。

\b
示例：
  execution-history diff 01a20dba-b801-7732-a3b5-fd1635d97bad
  execution-history diff 01a20dba-b801-7732-a3b5-fd1635d97bad 01a20dbc-1f6e-7a10-9c11-0d6f2f8c5c21
""",
    "help.tag": """给一次执行加注：标签、备注、评分、置顶。什么都不给时，说出已有的加注。

\b
示例：
  execution-history tag 01a20dba-b801-7732-a3b5-fd1635d97bad 已检查 "写进报告"
  execution-history tag 01a20dba-b801-7732-a3b5-fd1635d97bad --remove 已检查 --rating 5 --pin
  execution-history tag 01a20dba-b801-7732-a3b5-fd1635d97bad --note "插件当时不可用。"
""",
    "help.export": """把执行写入文件、文件夹或标准输出；要么完整，要么不写。

JSON Lines（.jsonl）逐字节保存每条记录；JSON 就是数据库旁边那些文件的格式：一个工作流一个 .json 文件，多个工作流
用 .zip 文件或文件夹。两者都可以再导入。CSV 和 Parquet 供表格和数据分析使用，不能再导入。

\b
示例：
  execution-history export -o runs.jsonl
  execution-history export 7000000000000000002 -o runs.json
  execution-history export --status failed -o failed.csv --columns execute_id,input.city
  execution-history export -o history.zip --format json
  execution-history export -o runs.parquet
""",
    "help.import": """把执行合并进历史：导出的文件、旧部署的文件和文件夹、别的历史的文件夹。

已有的记录保持不变，除非另一个版本更新。中断后再导入一次就会接着进行。

\b
示例：
  execution-history import runs.jsonl
  execution-history import data/old_history
  execution-history import --coze-studio workflow_execution.csv --nodes node_execution.csv
""",
    "panel.filters": "哪些执行",
    "frame.arguments": "参数",
    "frame.options": "选项",
    "frame.commands": "命令",
    "frame.errors": "错误",
    "frame.default": "[默认：{}]",
    "frame.required": "[必填]",
    "frame.help": "显示这段说明并退出。",
    "frame.install_completion": "为当前的 shell 安装命令补全。",
    "frame.show_completion": "显示将要安装的补全脚本。",
    "argument.text": "要找的文字。",
    "argument.other": "与它比较的执行；此时第一个是旧的一边。",
    "argument.tags": "要加上的标签。",
    "argument.paths": "要导入的内容。",
    "option.cursor": "从这个位置继续，上一页会给出它。",
    "option.sort": "按什么排序。",
    "option.ascending": "最旧、最短或最省的在前。",
    "option.explain": "说明是怎样找到的。",
    "option.best": "最新的一百个结果中最相符的在前，而不是最新的在前。",
    "option.since_revision": "从这个修订号之后开始；0 会说出已有的全部。",
    "option.by": "一行的时间长度；默认是一天，天数太多时更长。",
    "option.zone": "各行的时区，例如 Asia/Shanghai；默认是本机时区。",
    "option.new_since": "在此之前没有出现过的失败算作新的。",
    "option.remove": "要去掉的标签；可重复。",
    "option.note": "备注；空文字表示删除。",
    "option.rating": "从 1（差）到 5（很好）；0 表示删除。",
    "option.pin": "置顶，或取消置顶。",
    "option.output": "写到哪里；- 是标准输出。",
    "option.format": "写成什么格式；否则由文件名的结尾决定。",
    "option.columns": "CSV 的列，用点进入文档：execute_id,input.city,output.score。",
    "option.excel": "CSV：以 Excel 识别 UTF-8 的标记开头。",
    "option.raw_cells": "CSV：不阻止表格软件把文字当作公式。",
    "option.coze_studio": "文件是 Coze Studio 的表 workflow_execution 的导出，CSV 或 JSON Lines。",
    "option.nodes": "它的表 node_execution 的导出，用于时间线。",
    "found.total": "找到 {total} 次执行。",
    "found.at_least": "至少找到 {total} 次执行。",
    "found.nothing": "{store} 中没有这样的执行。",
    "found.reach": "索引还在建立：这个回答包含 {newest} 个变化中的 {done} 个。",
    "found.damaged": "略去了 {count} 次无法读取的执行，因为它们在 history.db 中的数据已损坏：{runs}。"
    "修复：{program} import 备份；或放弃它们：{program} delete ID。",
    "found.damaged.one": "略去了 1 次无法读取的执行，因为它在 history.db 中的数据已损坏：{runs}。"
    "修复：{program} import 备份；或放弃它：{program} delete ID。",
    "follow.waiting": "{store} 中还没有历史；正在等待第一次执行。Ctrl-C 停止。",
    "follow.begun": "正在跟随 {store}；Ctrl-C 停止。",
    "follow.deleted": "已删除",
    "follow.reset": "这不是该修订号所属的历史：请重新读取。",
    "stats.total": "合计",
    "stats.codes": "错误码：{codes}",
    "stats.zone": "时间以 {zone} 为准。",
    "stats.new": "新：",
    "head.when": "时间",
    "head.failed": "失败",
    "head.open": "未结束",
    "head.success_rate": "成功率",
    "head.p50": "P50",
    "head.p95": "P95",
    "head.p99": "P99",
    "head.count": "次数",
    "head.last_seen": "最近一次",
    "head.failure": "失败",
    "head.example": "例子",
    "diff.duration": "耗时",
    "diff.tokens": "Token",
    "diff.same": "其余都相同。",
    "diff.ending": "结束方式",
    "diff.input": "输入",
    "diff.output": "输出",
    "diff.settings": "设置",
    "diff.divergence.order": "从第 {position} 个节点起，同样的节点以不同的顺序说话：{node}",
    "diff.divergence.node": "第 {position} 个节点不同：{node}",
    "diff.divergence.content": "第 {position} 个节点 {node} 说的内容不同",
    "diff.divergence.state": "第 {position} 个节点 {node} 的经过不同",
    "diff.divergence.end": "其中一次没有第 {position} 个节点：{node}",
    "note.tags": "标签",
    "note.rating": "评分",
    "note.pinned": "置顶",
    "note.note": "备注",
    "note.yes": "是",
    "note.nothing": "这次执行没有加注。",
    "show.compare": "与它之前最近一次成功的执行比较：{command}",
    "progress": "{count} 次执行，{size}",
    "progress.one": "1 次执行，{size}",
    "export.done": "{count} 次执行，{size}，已写入 {target}。",
    "export.done.one": "1 次执行，{size}，已写入 {target}。",
    "import.done": "新增 {added}，替换 {replaced}，已有 {skipped}，拒绝 {refused}；写入 {store}。",
    "import.more": "另有 {count} 条被拒绝；--json 会全部列出。",
    "import.more.one": "另有 1 条被拒绝；--json 会全部列出。",
    "error.format": "名称 {target} 看不出格式：请以 .jsonl、.json、.zip、.csv 或 .parquet 结尾，或用 --format 指定。",
    "error.studio": "--coze-studio 只接受一个文件：workflow_execution 的导出。",
    "filter.workflow": "该工作流的执行。",
    "filter.status": "状态：running、success、failed、interrupted 或 other；多个用逗号分隔。",
    "filter.since": "从此时开始的：2h 或 7d 之前、2026-11-01、2026-11-01T08:00 或毫秒。",
    "filter.until": "在此之前开始的；只给日期时包含当天。",
    "filter.min_duration": "至少用了这么久：200ms、1.5s、2m 或 1h。",
    "filter.max_duration": "至多用了这么久。",
    "filter.mode": "运行方式：sync、stream 或 async；多个用逗号分隔。",
    "filter.bot": "为该机器人运行的。",
    "filter.conversation": "在该会话中运行的。",
    "filter.account": "用该 Coze 账号运行的。",
    "filter.caller": "由该程序调用的。",
    "filter.error": "以该错误码结束的。",
    "filter.failed_node": "在该节点失败的，填节点标题或 ID。",
    "filter.min_tokens": "至少用了这么多 Token。",
    "filter.max_tokens": "至多用了这么多 Token。",
    "filter.has_output": "是否有输出：true 或 false。",
    "filter.tag": "带有该标签；给出多个时须全部带有。",
    "filter.pinned": "是否置顶：true 或 false。",
    "filter.min_rating": "评分至少为此，1 到 5。",
    "filter.max_rating": "评分至多为此。",
    "filter.upstream": "在 Coze 中的 ID。",
    "filter.fingerprint": "以这种方式失败的，统计中给出其名称。",
    "filter.parent": "在该执行之内开始的。",
    "filter.id": "执行 ID 以此开头的。",
    "filter.where": '满足该条件的：input.city = "北京"、output.score >= 90、metadata.tags[0] exists。',
    "filter.q": '含有这些文字的：timeout、"out of memory"、time*、北京、-retry。',
}
