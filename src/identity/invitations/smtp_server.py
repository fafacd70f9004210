"""A mail server for tests: Python's own smtpd (up to 3.11). One line of JSON for every mail it has taken over.

smtp_server.py PORT [HANG_AT]: the mail of that number is read and never answered.
Recipients that begin with "nobody" are refused for good, with "busy" for now.
"""

import asyncore
import json
import smtpd
import sys
import time
from email import message_from_bytes, policy

hang_at = int(sys.argv[2]) if len(sys.argv) > 2 else 0


class Server(smtpd.SMTPServer):
    seen = 0

    def process_message(self, peer, mailfrom, rcpttos, data, **_):
        if rcpttos[0].startswith("nobody"):
            return "550 5.1.1 no such mailbox"
        if rcpttos[0].startswith("busy"):
            return "451 4.3.0 try again later"
        Server.seen += 1
        if Server.seen == hang_at:
            print(json.dumps({"hangs": True}), flush=True)
            time.sleep(600)
        message = message_from_bytes(data, policy=policy.default)
        mail = {
            "id": message["message-id"],
            "from": mailfrom,
            "to": rcpttos,
            "subject": message["subject"],
            "text": message.get_content(),
        }
        print(json.dumps(mail), flush=True)
        return None


Server(("127.0.0.1", int(sys.argv[1])), None, decode_data=False)
print(json.dumps({"listens": True}), flush=True)
asyncore.loop()
