"""Everything the command line says, in Chinese."""

from typing import Final

from execution_history.presentation.catalogues.terminal.chinese_questions import CHINESE_QUESTIONS

CHINESE: Final[dict[str, str]] = {
    **CHINESE_QUESTIONS,
    # 命令的用途。
    "help.app": "保存在本地磁盘上的 Coze 工作流执行历史。",
    "help.app.epilog": """\b
示例：
  execution-history serve --sandbox
  execution-history run 7000000000000000002 -p city=Paris --sandbox
  execution-history list --status failed --since 2h
  execution-history search 超时
  execution-history show 01a20dba-b801-7732-a3b5-fd1635d97bad

\b
退出码：
  0    一切正常；对 run 而言：工作流执行成功
  1    工作流执行失败，或没有人知道它如何结束；import 拒绝了部分记录
  2    调用方式、设置或账号有误，或者地址已被占用
  3    工作流中断：它在提问，或者运行它的程序已经不在
  4    存储无法使用
  5    指名的执行，或 clear 的工作流，并不存在（查询没有结果时为 0）
  70   程序自身或机器的故障
  130  被 Ctrl-C 停止（143：SIGTERM）；serve、sandbox、follow 此时为 0
""",
    "help.serve": """启动 HTTP API，按 Ctrl-C 停止。

\b
示例：
  execution-history serve
  execution-history serve --sandbox
  execution-history serve --port 9000 --store /var/lib/execution-history
""",
    "help.sandbox": """启动一个兼容 Coze 工作流 API 的沙箱上游，无需 Coze 账号即可试用。

\b
示例：
  execution-history sandbox
  execution-history sandbox --port 0 --json
  execution-history sandbox --studio
""",
    "help.run": """执行一个工作流，把回答实时输出到终端，并记录下来。

回答的文本写到标准输出，其余内容写到标准错误。

\b
示例：
  execution-history run 7000000000000000002 --sandbox
  execution-history run 7321 -p city=Paris -p days=3 -p 'zip="01234"'
  execution-history run 7321 --parameters-file input.json --json | tail -1

退出码：0 成功，1 失败，3 中断；其余与所有命令相同。
""",
    "help.resume": """回答一次被中断的执行提出的问题，并在同一条记录中继续。

\b
示例：
  execution-history resume 01a20dba-b801-7732-a3b5-fd1635d97bad 巴黎
  execution-history resume 01a20dba-b801-7732-a3b5-fd1635d97bad '{"city": "巴黎", "days": 3}'
  execution-history resume 01a20dba-b801 巴黎 --sandbox
  echo 巴黎 | execution-history resume 01a20dba-b801-7732-a3b5-fd1635d97bad -

由开始这次执行的账号回答，或由同一地址的另一个账号回答；`serve --sandbox` 的沙箱中的执行不需要账号。

退出码：0 成功，1 失败，3 又提出了问题或仍在等待；其余与所有命令相同。
""",
    "help.fetch": """记录一次在别处发生的执行，趁 Coze 还保留着它（输出只保留一到七天）。

\b
示例：
  execution-history fetch 7321000000000000000 7432100000000000000
  execution-history fetch 7000000000000000001 7432100000000000000 --sandbox
""",
    "help.workflows": """列出有历史的工作流，以及各状态的次数和最近一次执行。

\b
示例：
  execution-history workflows
  execution-history workflows --json
""",
    "help.show": """显示一次执行：如何结束、依据是什么、输入和输出、每个节点说了什么。

\b
示例：
  execution-history show 01a20dba-b801-7732-a3b5-fd1635d97bad
  execution-history show 01a20dba-b801-7732-a3b5-fd1635d97bad --json | jq .output
""",
    "help.delete": """删除一次执行的记录。

\b
示例：
  execution-history delete 01a20dba-b801-7732-a3b5-fd1635d97bad
""",
    "help.clear": """删除一个工作流的全部历史。

\b
示例：
  execution-history clear 7000000000000000002 --yes
""",
    # 选项的用途。
    "option.store": "历史存放的位置。",
    "option.json": "只向标准输出写供程序读取的 JSON。",
    "option.debug": "显示错误来自何处。",
    "option.version": "显示版本并退出。",
    "option.host": "监听的地址。",
    "option.port": "监听的端口；0 表示任取一个空闲端口。",
    "option.serve_sandbox": "同时启动沙箱上游，并让账号 default 调用它。",
    "option.sandbox_port": "沙箱的端口；0 表示任取一个空闲端口。",
    "option.access_log": "把每个请求写到标准错误。",
    "option.sandbox_host": "监听的地址。",
    "option.token": "沙箱要求的 Bearer 令牌。",
    "option.studio": "像开源版 Coze Studio 那样回答：路径不同，id 为数字，字段较少。",
    "option.parameter": "一个输入参数，可以多次给出。 VALUE 能读作 JSON 时就是 JSON （例如 n=3 on=true list=[1,2] ），"
    " 否则是文本； n='\"3\"' 强制为文本。",
    "option.parameters_file": "装有全部输入参数的 JSON 对象；- 表示读标准输入。-p 优先。",
    "option.bot_id": "机器人，仅当工作流需要时给出。",
    "option.conversation_id": "本次执行所属的会话。",
    "option.user_id": "最终用户，会转交给 Coze。",
    "option.account": "设置中的 Coze 账号。",
    "option.run_sandbox": "在内嵌的沙箱中执行，不需要 Coze 账号，也不需要服务。",
    "option.ask_sandbox": "调用 `serve --sandbox` 运行的沙箱，作为账号 default。",
    "option.no_stream": "等待最终结果，不使用流式输出。",
    "option.page": "第几页，最新的在前。",
    "option.page_size": "每页多少条。",
    "option.workflow": "工作流；当多个工作流都有这个执行 id 时给出。",
    "option.full": "完整显示输入、输出和节点文本，无论多长。",
    "option.yes": "不询问，直接删除。",
    "argument.run_workflow": "要执行的工作流。",
    "argument.list_workflow": "只列出这个工作流的执行。",
    "argument.answer": "回答：一段文字；问题要求填写多个字段时用 JSON；- 表示从标准输入读取。",
    "argument.fetch_workflow": "工作流。",
    "argument.fetch_execution": "该执行在 Coze 中的 ID，调试页面上可以看到。",
    "option.answerer": "用来回答的 Coze 账号；默认是发起执行的那个账号。",
    "fetch.done": "已记录。`{command}` 可以查看。",
    "argument.execute_id": "执行 id，见 list；也可以只写开头（至少 8 个字符），或写 Coze 那边的 id。",
    "argument.clear_workflow": "要清空历史的工作流。",
    # 状态和标题。
    "status.success": "成功",
    "status.running": "执行中",
    "status.failed": "失败",
    "status.interrupted": "中断",
    "head.status": "状态",
    "head.started": "开始时间",
    "head.duration": "用时",
    "head.tokens": "TOKEN",
    "head.execute_id": "执行 ID",
    "head.workflow": "工作流",
    "head.gist": "输出或错误",
    "head.runs": "次数",
    "head.other": "其他",
    "head.last_run": "最近一次",
    "head.input": "输入",
    "head.output": "输出",
    "head.nodes": "节点",
    "head.metadata": "其他信息",
    # list 和 workflows。
    "list.counted": "第 {first} 至 {last} 次，共 {total} 次执行；第 {page} 页，共 {pages} 页。",
    "list.next": "下一页：{command}",
    "list.past_end": "没有第 {page} 页，最后一页是第 {pages} 页。",
    "list.empty": "{store} 中还没有执行记录。不需要 Coze 账号就可以记录一次：\n  {run}\n"
    "或者启动带沙箱的 HTTP API 来试用：\n  {serve}",
    "list.empty_workflow": "工作流“{workflow_id}”在 {store} 中没有执行记录；`{command}` 列出有记录的工作流。",
    # show。
    "show.success": "成功，用时 {duration}",
    "show.failed": "失败，用时 {duration}",
    "show.interrupted": "中断，用时 {duration}",
    "show.running": "执行中，已经 {duration}",
    "show.other": "状态 {status}，{duration} 后最后一次变更",
    "show.recorder_gone": "记录这次执行的程序已经不在了；下一次在这个存储上 `serve` 或 `run` 时会给出结论。",
    "show.cut": "… 还有 {count} 个字符；--full 显示全部，--json 原样输出记录。",
    "show.cut.one": "… 还有 1 个字符；--full 显示全部，--json 原样输出记录。",
    "show.not_whole": "不完整：这个值原有 {size}，只保留了开头，因为整条记录超过了 record_limit_bytes。",
    "show.not_whole_answer": "不完整：回答超过 largest_recorded_bytes，其余只转发，没有保留。",
    "show.tokens": "{total}（读入 {read}，写出 {written})",
    "show.mode.0": "一次性返回",
    "show.mode.1": "流式",
    "show.mode.2": "后台",
    "fact.execute_id": "执行 ID",
    "fact.workflow_id": "工作流",
    "fact.create_time": "开始时间",
    "fact.update_time": "最后变更",
    "fact.tokens": "Token",
    "fact.run_mode": "执行方式",
    "fact.account": "账号",
    "fact.caller": "调用方",
    "fact.bot_id": "机器人",
    "fact.conversation_id": "会话",
    "fact.connector_uid": "用户",
    "fact.connector_id": "渠道",
    "fact.proof": "依据",
    "fact.coze_execute_id": "Coze 的执行 ID",
    "fact.log_id": "Coze 的日志 ID",
    "fact.debug_url": "调试页面",
    "fact.is_output_trimmed": "输出",
    "show.trimmed": "被 Coze 截断",
    "node.message": "1 条消息",
    "node.messages": "{count} 条消息",
    "node.characters": "{count} 个字符",
    "node.characters.one": "1 个字符",
    "node.tokens": "{count} token",
    "node.tokens.one": "1 token",
    "node.failed": "失败",
    "node.unfinished": "未完成",
    "proof.done_event": "Coze 的流说明已经完成",
    "proof.error_event": "Coze 的流报告了错误",
    "proof.interrupt_event": "Coze 的流停下来提问",
    "proof.stream_ended_early": "流结束时没有说明执行如何结束",
    "proof.envelope": "Coze 的回答如此说明",
    "proof.accepted": "Coze 接受了后台执行",
    "proof.rejected": "Coze 拒绝了调用",
    "proof.http_status": "回答的 HTTP 状态",
    "proof.not_json": "回答不是 Coze 的格式",
    "proof.timeout": "Coze 太久没有响应",
    "proof.connection_failed": "连接没有建立",
    "proof.connection_broken": "连接中断",
    "proof.abandoned": "记录被停止",
    "proof.never_sent": "调用从未发出",
    "proof.recorder_died": "记录程序先于执行结束",
    "proof.run_history": "Coze 自己的执行记录如此说明",
    "proof.upstream_silent": "反复询问 Coze，它始终没有说明执行如何结束",
    "proof.returned": "函数正常返回",
    "proof.raised": "函数抛出了异常",
    "proof.cancelled": "函数被取消",
    "proof.closed_early": "调用方提前停止了读取",
    "proof.program_ended": "程序先于函数结束",
    # run。
    "run.tokens": "{count} token",
    "run.tokens.one": "1 token",
    "run.unrecorded": "这次执行没能记录下来：{problem}",
    "run.attention": "历史有问题需要处理：{problem}",
    "run.unrecorded_unknown": "这次执行没能记录下来。",
    "run.stopped": "已停止。执行 {execute_id} 已记录到停止时为止；工作流可能仍在 Coze 上执行。",
    "run.stopped_early": "在执行开始之前已停止。",
    "ask.question": "工作流提问：{question}",
    "ask.unnamed": "工作流在等待回答。",
    "ask.required": "必填",
    "ask.later": "要回答它：{command}",
    "ask.forgotten": "内嵌的沙箱在执行结束后会忘记它的提问；"
    "`execution-history serve --sandbox` 启动的沙箱可以继续回答。",
    # serve 和 sandbox。
    "serve.history": "历史",
    "serve.store": "存储",
    "serve.sandbox": "沙箱",
    "serve.docs": "API 文档 {url}",
    "serve.token": "令牌 {token}",
    "serve.try": "试一试：",
    "serve.stop": "按 Ctrl-C 停止。",
    "serve.stopped": "已停止。",
    "serve.open": "正在监听 {host}：能访问本机的人都可以读取和删除这些历史。",
    "sandbox.use": "使用方法：COZE_API_BASE={url} COZE_API_TOKEN={token} {command}",
    "sandbox.head": "用途",
    # delete 和 clear。
    "delete.done": "已删除工作流“{workflow_id}”的执行“{execute_id}”。",
    "clear.ask": "删除工作流“{workflow_id}”的全部 {count} 次执行？",
    "clear.kept": "什么也没有删除。",
    "clear.done": "已删除工作流“{workflow_id}”的 {count} 次执行。",
    # 出错时。
    "error.prefix": "错误：",
    "error.no_run": "{store} 中没有执行“{execute_id}”；`{command}` 列出已有的执行。",
    "error.no_run_in_workflow": "工作流“{workflow_id}”在 {store} 中没有执行“{execute_id}”。",
    "error.ambiguous": "多个工作流都有执行“{execute_id}”（{workflows}）：请用 --workflow 指定一个。",
    "error.no_run_so_short": "{store} 中没有执行“{execute_id}”，而 id 的开头至少要写 {least} 个字符；"
    "`{command}` 列出已有的执行。",
    "error.several": "“{beginning}”可能指多次执行：{candidates}。请把 id 写得更长一些。",
    "error.beginning_early": "索引还在建立，暂时无法确定哪些执行以“{beginning}”开头：请写完整的 id，或稍等片刻。",
    "error.not_waiting": "执行“{execute_id}”没有在等待回答（状态：{status}）：只有提出了问题的执行才能继续。",
    "error.half_account": "Coze 账号“{account}”的设置不完整：请设置 {settings}。",
    "error.no_token": "Coze 账号“{account}”没有令牌：请设置 {settings}（coze.cn 或 Coze Studio 还要设置 "
    "COZE_API_BASE），或加上 --sandbox，无需账号即可试用。",
    "error.no_account_there": "执行“{execute_id}”在 {upstream} 等待回答，而没有账号使用这个地址："
    "请设置 COZE_API_BASE={upstream} 和 COZE_API_TOKEN（沙箱的是 sandbox-token），或用 --account 指定一个账号。",
    "error.no_workflow": "工作流“{workflow_id}”在 {store} 中没有历史。",
    "error.say_yes": "这将删除 {count} 次执行，而现在无法询问：确定要删除时请加上 --yes。",
    "error.address": "无法监听 {host}:{port}：{reason}。请用 --host 或 --port 换一个地址。",
    "error.taken": "{host} 的端口 {port} 已被占用：请用 --port 换一个端口，或者停止占用它的程序。",
    "error.parameter": "参数“{text}”不是 NAME=VALUE 的形式。",
    "error.file": "参数文件 {path} 无法读取：{reason}。",
    "error.file_json": "参数文件 {path} 不是 JSON。",
    "error.file_object": "参数文件 {path} 中不是由名称和值组成的 JSON 对象。",
    "error.parameters_deep": "参数嵌套太深，无法发送：列表和对象最多 {most} 层。",
    "error.token": "沙箱需要一个非空的令牌。",
    "error.sandbox_account": "--sandbox 和 --account 不能同时使用：沙箱就是账号 default。",
    "error.machine": "机器拒绝了操作：{reason}。",
    "error.fault": "发生了不应发生的错误（{kind}）。加上 --debug 可以看到出处，请报告给我们。",
    # 库的错误：先说是什么、怎么办，再给原文。
    "fault.cursor": "这个翻页位置已经失效，或属于另一次查询：请从第一页重新开始。（原文：{message}）",
    "fault.query": "筛选条件、搜索文字、排序或时间里有一处无法理解："
    "请改正它，`--help` 列出可以写的内容。（原文：{message}）",
    "fault.identifier": "这个 id 不可能存在：请检查它。（原文：{message}）",
    "fault.import": "要导入的内容找不到，或无法读取：请检查路径和文件。（原文：{message}）",
    "fault.input": "给出的值不能这样用：请改正后再试。（原文：{message}）",
    "fault.not_found": "没有所要的执行。（原文：{message}）",
    "fault.export": "无法写到那里，也没有留下写了一半的文件：请换一个位置，或腾出空间。（原文：{message}）",
    "fault.transition": "执行已经结束，状态不能再这样改变。（原文：{message}）",
    "fault.settings": "有一处设置不正确：请改正环境变量或设置文件。（原文：{message}）",
    "fault.unknown_account": "没有这个 Coze 账号：请使用设置中已有的账号，或先添加它。（原文：{message}）",
    "fault.account": "这个 Coze 账号的设置不完整或有误：请补全或改正。（原文：{message}）",
    "fault.not_interrupted": "这次执行没有在等待回答。（原文：{message}）",
    "fault.upstream": "Coze 联系不上，或不肯回答：请检查 id、地址和令牌，或稍后再试。（原文：{message}）",
    "fault.store_full": "磁盘已满：请腾出空间后再试。（原文：{message}）",
    "fault.store_busy": "另一个进程占用存储太久：请稍后再试，或找出那个进程。（原文：{message}）",
    "fault.store_unwritable": "存储无法写入：请检查目录是否存在、是否属于你、是否可写。（原文：{message}）",
    "fault.record_damaged": "这次执行在 history.db 中的数据已损坏，无法读取："
    "请从备份或导出文件中重新导入，或将它删除。（原文：{message}）",
    "fault.store_damaged": "history.db 已损坏："
    "请停下使用这个目录的程序，在目录里输入 `mkdir damaged && mv history.db* damaged/`，"
    "下一条命令会从旁边的 JSON 文件读回记录。（原文：{message}）",
    "fault.store_too_new": "这个存储由更新的版本写成：请升级 execution-history。（原文：{message}）",
    "fault.store": "存储无法完成这个操作，原有的内容没有变。（原文：{message}）",
}
